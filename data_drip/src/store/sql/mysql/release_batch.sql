UPDATE data_drip_backfill_run_batches
SET status = ?4, worker = NULL, error = coalesce(?5, error), attempts = attempts + ?6, transients = transients + ?7,
    -- Without a delay no clock decides: one that jumps back must not make the batch wait.
    due_at = CASE WHEN ?8 = 0 THEN 0 ELSE TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 + ?8 END
WHERE id = ?1 AND worker = ?2 AND epoch = ?3 AND status = 'running'
