DELETE FROM data_drip_backfill_run_batches WHERE run_id = ?1
