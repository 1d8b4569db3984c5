SELECT status, planned, backfill, options, element_limit, start_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
FROM data_drip_backfill_runs
WHERE id = ?1
FOR UPDATE
