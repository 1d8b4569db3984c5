SELECT
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = $1 AND status = 'pending' AND due_at <= (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint)),
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = $1 AND status = 'pending')
