-- Differs by necessity: a run that bounds its concurrency gets as many permits; beyond a thousand the bound is a thousand.
WITH run AS (
    INSERT INTO data_drip_backfill_runs (
        backfill, options, active_key, batch_size, sleep_ms, element_limit, queue, concurrency, max_attempts, timeout_ms,
        backfiller_id, backfiller_name, start_at, status, created_at
    )
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
        CASE WHEN $13 > clock.now THEN 'pending' ELSE 'enqueued' END, clock.now
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) AS clock
    ON CONFLICT (active_key) DO NOTHING
    RETURNING id, concurrency
), permits AS (
    INSERT INTO data_drip_run_permits (run_id, number)
    SELECT run.id, number
    FROM run, generate_series(1, least(run.concurrency, 1000)) AS number
    WHERE run.concurrency IS NOT NULL
)
SELECT id FROM run
