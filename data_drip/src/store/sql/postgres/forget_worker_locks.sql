DELETE FROM data_drip_worker_locks l WHERE NOT EXISTS (SELECT 1 FROM data_drip_workers w WHERE w.id = l.worker)
