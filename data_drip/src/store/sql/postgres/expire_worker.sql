UPDATE data_drip_workers SET expires_at = least(expires_at, (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1) WHERE id = $1
