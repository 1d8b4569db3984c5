SELECT id FROM data_drip_backfill_runs
WHERE status = 'pending' AND (start_at IS NULL OR start_at <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
