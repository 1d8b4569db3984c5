INSERT INTO data_drip_run_logs (run_id, batch_id, claim, at, level, target, message, fields, dropped)
SELECT $1, (value ->> 0)::bigint, (value ->> 1)::bigint, (value ->> 2)::bigint, (value ->> 3)::integer, value ->> 4,
    value ->> 5, value ->> 6, (value ->> 7)::bigint
FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS line (value, place)
ORDER BY place
