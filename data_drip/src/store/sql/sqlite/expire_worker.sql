UPDATE data_drip_workers SET expires_at = min(expires_at, CAST(unixepoch('subsec') * 1000 AS INTEGER) - 1) WHERE id = ?1
