INSERT INTO data_drip_worker_locks (worker, token, server) VALUES ($1, $2, '')
ON CONFLICT (worker) DO UPDATE SET token = excluded.token, server = excluded.server
