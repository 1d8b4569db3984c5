UPDATE data_drip_backfill_runs SET prepared = 1
WHERE id = ?1 AND planner = ?2 AND planner_epoch = ?3 AND status = 'running' AND prepared = 0
