DELETE FROM data_drip_backfill_runs WHERE id = ?1 AND status = ?2
