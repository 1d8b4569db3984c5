SELECT id FROM data_drip_backfill_runs
WHERE status = 'pending' AND (start_at IS NULL OR start_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER))
