UPDATE data_drip_backfill_run_batches
SET status = 'pending', worker = NULL, due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
WHERE run_id = ?1 AND status = 'stopped'
RETURNING id
