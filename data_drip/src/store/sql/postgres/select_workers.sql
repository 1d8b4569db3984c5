-- Of a worker whose lock is free: the lock's number. Whoever looks holds it for this statement only, beside others who look.
SELECT w.id, w.beat, w.expires_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint OR w.beat_at > (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    EXISTS (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.worker = w.id AND b.status = 'running')
        OR EXISTS (SELECT 1 FROM data_drip_backfill_runs r WHERE r.planner = w.id),
    w.expires_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 86400000,
    (
        SELECT l.token FROM data_drip_worker_locks l
        WHERE l.worker = w.id AND pg_try_advisory_xact_lock_shared(1684632682, l.token::integer)
    )
FROM data_drip_workers w
