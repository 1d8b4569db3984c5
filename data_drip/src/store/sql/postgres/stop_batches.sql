UPDATE data_drip_backfill_run_batches SET status = 'stopped' WHERE run_id = $1 AND status = 'pending' RETURNING id
