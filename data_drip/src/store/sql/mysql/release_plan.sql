UPDATE data_drip_backfill_runs SET planner = NULL WHERE id = ?1 AND planner = ?2 AND planner_epoch = ?3
