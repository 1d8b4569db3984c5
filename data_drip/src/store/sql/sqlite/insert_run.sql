INSERT INTO data_drip_backfill_runs (
    backfill, options, active_key, batch_size, sleep_ms, element_limit, queue, concurrency, max_attempts, timeout_ms,
    backfiller_id, backfiller_name, start_at, status, created_at
)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
    CASE WHEN ?13 > clock.now THEN 'pending' ELSE 'enqueued' END, clock.now
FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now) AS clock
WHERE true
ON CONFLICT (active_key) DO NOTHING
RETURNING id
