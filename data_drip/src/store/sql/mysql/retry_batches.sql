-- Differs by necessity: without RETURNING the rows are locked, and then written. The run is locked already.
SELECT id FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'failed' FOR UPDATE;

UPDATE data_drip_backfill_run_batches
SET status = 'pending', worker = NULL, finished_at = NULL, attempts = 0, transients = 0, losses = 0, lone_losses = 0,
    lone_epoch = NULL, due_at = 0
WHERE run_id = ?1 AND status = 'failed'
