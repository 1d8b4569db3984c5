UPDATE data_drip_backfill_runs SET total = ?2, total_exact = ?3 WHERE id = ?1 AND planned = 0
