DELETE FROM data_drip_run_log_totals WHERE run_id = ?1
