SELECT b.worker FROM data_drip_backfill_run_batches b
WHERE b.status = 'running' AND (SELECT 1 FROM data_drip_workers w WHERE w.id = b.worker LIMIT 1) IS NULL
UNION
SELECT r.planner FROM data_drip_backfill_runs r
WHERE r.planner IS NOT NULL AND (SELECT 1 FROM data_drip_workers w WHERE w.id = r.planner LIMIT 1) IS NULL
