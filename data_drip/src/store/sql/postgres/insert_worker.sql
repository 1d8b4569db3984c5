INSERT INTO data_drip_workers (id, host, pid, version, slots, queues, beat, started_at, beat_at, expires_at)
SELECT $1, $2, $3, $4, $5, $6, 0, clock.now, clock.now, clock.now + $7
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) AS clock
ON CONFLICT (id) DO NOTHING
