UPDATE data_drip_backfill_runs SET status = 'enqueued'
WHERE id = $1 AND status = 'pending' AND (start_at IS NULL OR start_at <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
