INSERT INTO data_drip_backfill_run_batches
    (run_id, position, after_key, upto_key, planned_size, status, due_at)
SELECT $1, (value ->> 0)::bigint, value ->> 1, value ->> 2, (value ->> 3)::bigint, 'pending', 0
FROM jsonb_array_elements($2::jsonb)
RETURNING id
