UPDATE data_drip_backfill_run_batches
SET status = ?3, error = coalesce(?4, error), losses = losses + 1, lone_losses = ?5,
    worker = CASE WHEN ?3 = 'failed' THEN worker END,
    finished_at = CASE WHEN ?3 = 'failed' THEN TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 END,
    due_at = 0
WHERE id = ?1 AND epoch = ?2 AND status = 'running'
