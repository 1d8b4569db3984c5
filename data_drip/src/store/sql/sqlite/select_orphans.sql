SELECT b.worker FROM data_drip_backfill_run_batches b
WHERE b.status = 'running' AND b.worker NOT IN (SELECT id FROM data_drip_workers)
UNION
SELECT r.planner FROM data_drip_backfill_runs r
WHERE r.planner IS NOT NULL AND r.planner NOT IN (SELECT id FROM data_drip_workers)
