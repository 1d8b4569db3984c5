SELECT id FROM data_drip_backfill_runs
WHERE status = 'pending' AND (start_at IS NULL OR start_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)
