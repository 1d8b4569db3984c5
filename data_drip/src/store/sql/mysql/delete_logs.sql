DELETE FROM data_drip_run_logs WHERE run_id = ?1
