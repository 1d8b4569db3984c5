SELECT b.id, b.run_id, b.lone_losses + (b.lone_epoch IS b.epoch), r.status, b.epoch
FROM data_drip_backfill_run_batches b
JOIN data_drip_backfill_runs r ON r.id = b.run_id
WHERE b.worker = ?1 AND b.status = 'running'
