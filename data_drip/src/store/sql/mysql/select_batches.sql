SELECT id, run_id, position, after_key, upto_key, planned_size, processed, status, attempts, losses, worker, error,
    due_at, started_at, finished_at
FROM data_drip_backfill_run_batches
WHERE id IN (SELECT wanted.id FROM JSON_TABLE(?1, '$[*]' COLUMNS (id BIGINT PATH '$')) AS wanted)
ORDER BY run_id, position
