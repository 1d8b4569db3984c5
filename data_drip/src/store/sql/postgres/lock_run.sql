SELECT status, planned, backfill, options, element_limit, start_at > (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM data_drip_backfill_runs
WHERE id = $1
FOR UPDATE
