SELECT r.id FROM data_drip_backfill_runs r
WHERE r.status = 'running' AND r.planned = 1
    AND (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'pending' LIMIT 1) IS NULL
    AND (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'running' LIMIT 1) IS NULL
