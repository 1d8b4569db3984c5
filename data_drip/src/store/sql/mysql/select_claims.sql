SELECT id, run_id, epoch FROM data_drip_backfill_run_batches WHERE worker = ?1 AND status = 'running'
