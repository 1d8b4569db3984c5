DELETE FROM data_drip_worker_locks WHERE worker = ?1
