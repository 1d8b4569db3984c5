-- Whether any run is at work or waits for a worker, and how long it is until the next one is due.
SELECT
    (SELECT id FROM data_drip_backfill_runs WHERE status IN ('enqueued', 'running') LIMIT 1) IS NOT NULL,
    (SELECT min(COALESCE(start_at, 0)) FROM data_drip_backfill_runs WHERE status = 'pending') - (extract(epoch FROM clock_timestamp()) * 1000)::bigint
