UPDATE data_drip_backfill_runs SET asking_epoch = NULL, planner_losses = 0, key_spec = ?4, upper_key = ?5
WHERE id = ?1 AND planner = ?2 AND planner_epoch = ?3 AND status = 'running' AND upper_key IS NULL
