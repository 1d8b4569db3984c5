SELECT
    r.id, r.backfill, r.options, r.batch_size, r.sleep_ms, r.element_limit, r.queue, r.concurrency,
    r.max_attempts, r.timeout_ms, r.status,
    r.backfiller_id, r.backfiller_name, r.error, r.start_at, r.created_at, r.started_at, r.finished_at,
    r.planned, r.planned_batches, r.planned_elements, r.total, r.total_exact,
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'pending'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'running'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'completed'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'failed'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'stopped'),
    (SELECT CAST(SUM(b.processed) AS SIGNED) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed'),
    (SELECT CAST(SUM(b.processed) AS SIGNED) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 - 60000),
    (SELECT min(b.started_at) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 - 60000),
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
FROM data_drip_backfill_runs r
WHERE r.id IN (SELECT wanted.id FROM JSON_TABLE(?1, '$[*]' COLUMNS (id BIGINT PATH '$')) AS wanted)
ORDER BY r.id DESC
