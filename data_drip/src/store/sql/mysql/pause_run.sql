UPDATE data_drip_backfill_runs SET status = 'paused' WHERE id = ?1 AND status = ?2
