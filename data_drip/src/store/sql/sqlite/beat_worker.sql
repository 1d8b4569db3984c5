UPDATE data_drip_workers
SET beat = beat + 1, beat_at = CAST(unixepoch('subsec') * 1000 AS INTEGER),
    expires_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?2
WHERE id = ?1
