UPDATE data_drip_run_log_totals SET kept = kept + ?2, dropped = dropped + ?3 WHERE run_id = ?1
