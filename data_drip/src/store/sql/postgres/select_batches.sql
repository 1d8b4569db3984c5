SELECT id, run_id, position, after_key, upto_key, planned_size, processed, status, attempts, losses, worker, error,
    due_at, started_at, finished_at
FROM data_drip_backfill_run_batches
WHERE id = ANY (ARRAY(SELECT value::bigint FROM jsonb_array_elements_text($1::jsonb)))
ORDER BY run_id, position
