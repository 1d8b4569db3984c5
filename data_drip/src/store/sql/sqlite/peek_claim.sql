SELECT 1 FROM data_drip_backfill_run_batches WHERE run_id = ?1 AND status = 'running' LIMIT 1
