SELECT at, action, backfiller_id, backfiller_name, detail FROM data_drip_run_events WHERE run_id = ?1 ORDER BY id
