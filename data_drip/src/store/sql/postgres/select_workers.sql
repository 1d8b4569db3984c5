SELECT w.id, w.beat, w.expires_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint OR w.beat_at > (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    EXISTS (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.worker = w.id AND b.status = 'running')
        OR EXISTS (SELECT 1 FROM data_drip_backfill_runs r WHERE r.planner = w.id),
    w.expires_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 86400000
FROM data_drip_workers w
