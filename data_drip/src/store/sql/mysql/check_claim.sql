-- Differs by necessity: the server itself prepares a statement anew when its tables have changed.
SELECT r.status, CAST(NULL AS SIGNED)
FROM data_drip_backfill_run_batches b
JOIN data_drip_backfill_runs r ON r.id = b.run_id
WHERE b.id = ?1 AND b.worker = ?2 AND b.epoch = ?3 AND b.status = 'running'
