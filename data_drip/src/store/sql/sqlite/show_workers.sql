-- A beat in the future is a clock that jumped back: it tells nothing.
SELECT w.id, w.host, w.pid, w.version, w.slots, w.queues, w.started_at, w.beat_at, w.expires_at, clock.now,
    w.expires_at >= clock.now
FROM data_drip_workers w, (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now) AS clock
ORDER BY w.expires_at < clock.now, w.host, w.started_at, w.id
