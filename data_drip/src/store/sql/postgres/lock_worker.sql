-- A beat in the future is a clock that jumped back: whether the worker lives, its silence tells.
SELECT beat, expires_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint OR beat_at > (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM data_drip_workers WHERE id = $1
FOR UPDATE
