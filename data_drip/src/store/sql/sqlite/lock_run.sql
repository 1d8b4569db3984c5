SELECT status, planned, backfill, options, element_limit, start_at > CAST(unixepoch('subsec') * 1000 AS INTEGER)
FROM data_drip_backfill_runs
WHERE id = ?1
