-- Differs by necessity: without ON CONFLICT. A second active run violates the unique key, and that is no row. A run that bounds
-- its concurrency gets as many permits; beyond a thousand the bound is a thousand.
-- unless known
INSERT INTO data_drip_backfill_runs (
    backfill, options, active_key, batch_size, sleep_ms, element_limit, queue, concurrency, max_attempts, timeout_ms,
    backfiller_id, backfiller_name, start_at, status, created_at
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
    CASE WHEN ?13 > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 THEN 'pending' ELSE 'enqueued' END, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000);

INSERT INTO data_drip_run_permits (run_id, number)
WITH RECURSIVE permit (number) AS (
    SELECT 1 UNION ALL SELECT number + 1 FROM permit WHERE number < LEAST(?8, 1000)
)
SELECT LAST_INSERT_ID(), number FROM permit WHERE ?8 IS NOT NULL;

SELECT LAST_INSERT_ID()
