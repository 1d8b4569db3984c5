-- A beat in the future is a clock that jumped back: whether the worker lives, its silence tells.
SELECT beat, expires_at < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 OR beat_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000,
    (
        SELECT l.token FROM data_drip_worker_locks l
        WHERE l.worker = w.id AND l.server = CONCAT(@@hostname, ':', @@port)
            AND IS_FREE_LOCK(CONCAT('data_drip/', l.token)) = 1
    )
FROM data_drip_workers w WHERE w.id = ?1
FOR UPDATE
