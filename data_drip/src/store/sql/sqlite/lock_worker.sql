SELECT beat, expires_at < CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM data_drip_workers WHERE id = ?1
