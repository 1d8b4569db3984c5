INSERT INTO data_drip_worker_locks (worker, token, server) VALUES (?1, ?2, CONCAT(@@hostname, ':', @@port))
ON DUPLICATE KEY UPDATE token = VALUES(token), server = VALUES(server)
