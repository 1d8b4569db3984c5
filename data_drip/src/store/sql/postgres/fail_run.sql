UPDATE data_drip_backfill_runs
SET status = 'failed', active_key = NULL, error = $3, planner = NULL, finished_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE id = $1 AND planner_epoch = $2 AND status = 'running'
