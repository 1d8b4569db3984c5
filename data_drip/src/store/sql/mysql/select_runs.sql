-- The completed batches are what was planned and is nothing else: counting them would take longer with each of them. For
-- the same reason a settled run keeps the sum of its elements, and of others only what is newer than a moment is added up.
SELECT
    r.id, r.backfill, r.options, r.batch_size, r.sleep_ms, r.element_limit, r.queue, r.concurrency,
    r.max_attempts, r.timeout_ms, r.status,
    r.backfiller_id, r.backfiller_name, r.error, r.start_at, r.created_at, r.started_at, r.finished_at,
    r.planned, r.planned_batches, r.planned_elements, r.total, r.total_exact,
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'pending'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'running'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'failed'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'stopped'),
    r.processed,
    CASE WHEN r.processed IS NULL AND asked.since IS NOT NULL THEN
        (SELECT count(*) FROM data_drip_backfill_run_batches b
            WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > asked.since) END,
    CASE WHEN r.processed IS NULL THEN
        (SELECT CAST(SUM(b.processed) AS SIGNED) FROM data_drip_backfill_run_batches b
            WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > coalesce(asked.since, -1)) END,
    (SELECT count(*) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > clock.now - 60000),
    (SELECT CAST(SUM(b.processed) AS SIGNED) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > clock.now - 60000),
    (SELECT min(b.started_at) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > clock.now - 60000),
    clock.now
FROM JSON_TABLE(?1, '$[*]' COLUMNS (id BIGINT PATH '$[0]', since BIGINT PATH '$[1]')) AS asked
CROSS JOIN (SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 AS now) AS clock
JOIN data_drip_backfill_runs r ON r.id = asked.id
ORDER BY r.id DESC
