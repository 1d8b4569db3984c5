UPDATE data_drip_backfill_run_batches
SET status = 'pending', worker = NULL, due_at = 0
WHERE run_id = $1 AND status = 'stopped'
RETURNING id
