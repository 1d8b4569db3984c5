-- Of a worker whose lock is free: the lock's number.
SELECT w.id, w.beat, w.expires_at < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 OR w.beat_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000,
    (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.worker = w.id AND b.status = 'running' LIMIT 1) IS NOT NULL
        OR (SELECT 1 FROM data_drip_backfill_runs r WHERE r.planner = w.id LIMIT 1) IS NOT NULL,
    w.expires_at < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 - 86400000,
    (
        SELECT l.token FROM data_drip_worker_locks l
        WHERE l.worker = w.id AND l.server = CONCAT(@@hostname, ':', @@port)
            AND IS_FREE_LOCK(CONCAT('data_drip/', l.token)) = 1
    )
FROM data_drip_workers w
