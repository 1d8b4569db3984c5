SELECT
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'pending' AND due_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000),
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'pending')
