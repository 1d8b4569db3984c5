DELETE FROM data_drip_worker_locks WHERE worker NOT IN (SELECT id FROM data_drip_workers)
