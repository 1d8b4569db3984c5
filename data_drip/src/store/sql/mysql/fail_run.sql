UPDATE data_drip_backfill_runs
SET status = 'failed', active_key = NULL, error = ?3, planner = NULL, finished_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
WHERE id = ?1 AND planner_epoch = ?2 AND status = 'running'
