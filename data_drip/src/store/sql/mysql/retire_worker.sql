DELETE FROM data_drip_workers WHERE id = ?1
