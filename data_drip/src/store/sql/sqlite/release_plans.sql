UPDATE data_drip_backfill_runs SET planner = NULL, planner_epoch = planner_epoch + 1 WHERE planner = ?1
