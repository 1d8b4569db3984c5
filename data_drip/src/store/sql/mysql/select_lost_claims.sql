-- Differs by necessity: the runs are locked first, so that a stop of one of them comes before this or after it. In order, so
-- that two who take over do not wait for each other. A run that came in between is locked when it is read: what its status is
-- decides what becomes of the batch.
SELECT id FROM data_drip_backfill_runs
WHERE id IN (SELECT b.run_id FROM data_drip_backfill_run_batches b WHERE b.worker = ?1 AND b.status = 'running')
ORDER BY id
FOR UPDATE;

SELECT b.id, b.run_id, b.lone_losses + CASE WHEN b.lone_epoch = b.epoch THEN 1 ELSE 0 END, r.status, b.epoch
FROM data_drip_backfill_run_batches b
JOIN data_drip_backfill_runs r ON r.id = b.run_id
WHERE b.worker = ?1 AND b.status = 'running'
ORDER BY r.id
FOR UPDATE
