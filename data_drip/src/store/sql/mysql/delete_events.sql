DELETE FROM data_drip_run_events WHERE run_id = ?1
