INSERT INTO data_drip_run_events (run_id, at, action, backfiller_id, backfiller_name, detail)
VALUES (?1, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?2, ?3, ?4, ?5)
