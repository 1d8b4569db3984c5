INSERT INTO data_drip_workers (id, host, pid, version, slots, queues, beat, started_at, beat_at, expires_at)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, 0, clock.now, clock.now, clock.now + ?7
FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now) AS clock
WHERE true
ON CONFLICT (id) DO NOTHING
