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
    (SELECT sum(b.processed)::bigint FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed'),
    (SELECT sum(b.processed)::bigint FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > clock.now - 60000),
    (SELECT min(b.started_at) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = r.id AND b.status = 'completed' AND b.finished_at > clock.now - 60000),
    clock.now
FROM data_drip_backfill_runs r, (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) AS clock
WHERE r.id = ANY (ARRAY(SELECT value::bigint FROM jsonb_array_elements_text($1::jsonb)))
ORDER BY r.id DESC
