SELECT b.worker, b.run_id, r.backfill, b.id, b.position, b.started_at
FROM data_drip_backfill_run_batches b
JOIN data_drip_backfill_runs r ON r.id = b.run_id
WHERE b.status = 'running'
ORDER BY b.started_at, b.id
