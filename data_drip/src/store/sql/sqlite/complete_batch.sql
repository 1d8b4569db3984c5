UPDATE data_drip_backfill_run_batches
SET status = 'completed', processed = ?4, error = NULL, finished_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
WHERE id = ?1 AND worker = ?2 AND epoch = ?3 AND status = 'running'
