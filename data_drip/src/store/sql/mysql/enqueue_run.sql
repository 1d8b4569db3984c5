UPDATE data_drip_backfill_runs SET status = 'enqueued'
WHERE id = ?1 AND status = 'pending' AND (start_at IS NULL OR start_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)
