UPDATE data_drip_backfill_runs
SET planner = $2, planner_epoch = planner_epoch + 1, status = 'running',
    started_at = coalesce(started_at, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
WHERE id = $1 AND (planner IS NULL OR planner = $2) AND planner_epoch = $3 AND status = $4
