SELECT
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'pending'),
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'running'),
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'failed'),
    (SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'stopped')
