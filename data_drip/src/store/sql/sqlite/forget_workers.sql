DELETE FROM data_drip_workers WHERE expires_at < CAST(unixepoch('subsec') * 1000 AS INTEGER) - 86400000
