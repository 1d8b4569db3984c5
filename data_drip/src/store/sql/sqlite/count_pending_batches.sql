SELECT
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'pending' AND due_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'pending')
