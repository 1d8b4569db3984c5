UPDATE data_drip_backfill_runs
SET status = $2, active_key = NULL, finished_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE id = $1 AND status = 'running' AND planned = 1
