-- A beat in the future is a clock that jumped back: it tells nothing.
SELECT w.id, w.host, w.pid, w.version, w.slots, w.queues, w.started_at, w.beat_at, w.expires_at, clock.now,
    w.expires_at >= clock.now
FROM data_drip_workers w, (SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 AS now) AS clock
ORDER BY w.expires_at < clock.now, w.host, w.started_at, w.id
