UPDATE data_drip_workers
SET beat = beat + 1, beat_at = clock.now, expires_at = clock.now + $2
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) AS clock
WHERE id = $1
