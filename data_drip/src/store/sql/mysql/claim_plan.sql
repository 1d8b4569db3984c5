UPDATE data_drip_backfill_runs
SET planner = ?2, planner_epoch = planner_epoch + 1, status = 'running',
    started_at = coalesce(started_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)
WHERE id = ?1 AND (planner IS NULL OR planner = ?2) AND planner_epoch = ?3 AND status = ?4
