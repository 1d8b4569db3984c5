INSERT INTO data_drip_run_events (run_id, at, action, backfiller_id, backfiller_name, detail)
VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $2, $3, $4, $5)
