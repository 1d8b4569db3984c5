UPDATE data_drip_backfill_run_batches
SET status = ?4, worker = NULL, error = coalesce(?5, error), attempts = attempts + ?6, transients = transients + ?7,
    due_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?8
WHERE id = ?1 AND worker = ?2 AND epoch = ?3 AND status = 'running'
