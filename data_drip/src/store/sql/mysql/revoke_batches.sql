-- Differs by necessity: without RETURNING the rows are locked, and then written. The run is locked already.
SELECT id FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'running' FOR UPDATE;

UPDATE data_drip_backfill_run_batches
SET status = 'stopped', epoch = epoch + 1
WHERE run_id = ?1 AND status = 'running'
