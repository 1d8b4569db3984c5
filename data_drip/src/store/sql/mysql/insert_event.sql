INSERT INTO data_drip_run_events (run_id, at, action, backfiller_id, backfiller_name, detail)
VALUES (?1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000, ?2, ?3, ?4, ?5)
