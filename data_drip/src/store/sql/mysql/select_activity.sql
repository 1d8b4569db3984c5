-- Whether any run is at work or waits for a worker, and how long it is until the next one is due.
SELECT
    (SELECT id FROM data_drip_backfill_runs WHERE status IN ('enqueued', 'running') LIMIT 1) IS NOT NULL,
    (SELECT min(COALESCE(start_at, 0)) FROM data_drip_backfill_runs WHERE status = 'pending') - TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
