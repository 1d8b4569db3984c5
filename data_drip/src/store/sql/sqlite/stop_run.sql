UPDATE data_drip_backfill_runs
SET status = 'stopped', active_key = NULL, finished_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
WHERE id = ?1 AND status = ?2
