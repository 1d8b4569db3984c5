UPDATE data_drip_backfill_runs
SET status = 'stopped', active_key = NULL, finished_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
WHERE id = ?1 AND status = ?2
