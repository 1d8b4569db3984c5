-- A beat in the future is a clock that jumped back: whether the worker lives, its silence tells.
SELECT beat, expires_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint OR beat_at > (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    (
        SELECT l.token FROM data_drip_worker_locks l
        WHERE l.worker = w.id AND pg_try_advisory_xact_lock_shared(1684632682, l.token::integer)
    )
FROM data_drip_workers w WHERE w.id = $1
FOR UPDATE
