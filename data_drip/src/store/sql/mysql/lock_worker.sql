-- A beat in the future is a clock that jumped back: whether the worker lives, its silence tells.
SELECT beat, expires_at < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 OR beat_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
FROM data_drip_workers WHERE id = ?1
FOR UPDATE
