UPDATE data_drip_backfill_run_batches SET lone_epoch = epoch
WHERE id = ?1 AND worker = ?2 AND epoch = ?3 AND status = 'running'
