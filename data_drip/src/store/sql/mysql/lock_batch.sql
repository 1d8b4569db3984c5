SELECT status, worker, epoch FROM data_drip_backfill_run_batches WHERE id = ?1 FOR UPDATE
