SELECT w.id, w.beat, w.expires_at < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 OR w.beat_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000,
    (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.worker = w.id AND b.status = 'running' LIMIT 1) IS NOT NULL
        OR (SELECT 1 FROM data_drip_backfill_runs r WHERE r.planner = w.id LIMIT 1) IS NOT NULL,
    w.expires_at < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 - 86400000
FROM data_drip_workers w
