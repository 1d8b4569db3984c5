DELETE FROM data_drip_workers WHERE expires_at < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - 86400000
