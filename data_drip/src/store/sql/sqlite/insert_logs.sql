INSERT INTO data_drip_run_logs (run_id, batch_id, claim, at, level, target, message, fields, dropped)
SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
FROM json_each(?2)
ORDER BY key
