UPDATE data_drip_backfill_run_batches
SET status = 'failed', error = ?4, attempts = attempts + ?5, transients = transients + ?6, finished_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
WHERE id = ?1 AND worker = ?2 AND epoch = ?3 AND status = 'running'
