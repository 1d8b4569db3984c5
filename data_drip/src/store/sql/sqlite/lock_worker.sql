-- A beat in the future is a clock that jumped back: whether the worker lives, its silence tells.
SELECT beat, expires_at < CAST(unixepoch('subsec') * 1000 AS INTEGER)
    OR beat_at > CAST(unixepoch('subsec') * 1000 AS INTEGER),
    NULL
FROM data_drip_workers w WHERE w.id = ?1
