-- Differs by necessity: one run at a time. By bounds that come from a joined row nothing is found in an index, but every
-- completed batch is read. The indexes are named, because the statistics lag behind batches that change all the time.
--
-- The completed batches are what was planned and is nothing else: counting them would take longer with each of them. For
-- the same reason a settled run keeps the sum of its elements, and of others only what is newer than a moment is added up.
SELECT
    r.id, r.backfill, r.options, r.batch_size, r.sleep_ms, r.element_limit, r.queue, r.concurrency,
    r.max_attempts, r.timeout_ms, r.status,
    r.backfiller_id, r.backfiller_name, r.error, r.start_at, r.created_at, r.started_at, r.finished_at,
    r.planned, r.planned_batches, r.planned_elements, r.total, r.total_exact,
    (SELECT count(*) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_by_status)
        WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'pending'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_by_status)
        WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'running'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_by_status)
        WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'failed'),
    (SELECT count(*) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_by_status)
        WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'stopped'),
    r.processed,
    CASE WHEN r.processed IS NULL AND CAST(NULLIF(JSON_UNQUOTE(JSON_EXTRACT(?1, '$[0][1]')), 'null') AS SIGNED) IS NOT NULL THEN
        (SELECT count(*) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_finished)
            WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'completed'
            AND b.finished_at > CAST(NULLIF(JSON_UNQUOTE(JSON_EXTRACT(?1, '$[0][1]')), 'null') AS SIGNED)) END,
    CASE WHEN r.processed IS NULL THEN
        (SELECT CAST(SUM(b.processed) AS SIGNED) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_finished)
            WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'completed'
            AND b.finished_at > COALESCE(CAST(NULLIF(JSON_UNQUOTE(JSON_EXTRACT(?1, '$[0][1]')), 'null') AS SIGNED), -1)) END,
    (SELECT count(*) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_finished)
        WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'completed'
            AND b.finished_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 - 60000),
    (SELECT CAST(SUM(b.processed) AS SIGNED) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_finished)
        WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'completed'
            AND b.finished_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 - 60000),
    (SELECT min(b.started_at) FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_finished)
        WHERE b.run_id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED) AND b.status = 'completed'
            AND b.finished_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 - 60000),
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
FROM data_drip_backfill_runs r
WHERE r.id = CAST(JSON_EXTRACT(?1, '$[0][0]') AS SIGNED)
