SELECT id FROM data_drip_backfill_runs WHERE active_key = ?1
