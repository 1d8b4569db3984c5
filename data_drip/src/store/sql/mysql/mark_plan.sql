UPDATE data_drip_backfill_runs
SET asking_epoch = CASE WHEN ?4 = 1 THEN planner_epoch END, planner_losses = CASE WHEN ?4 = 1 THEN planner_losses ELSE 0 END
WHERE id = ?1 AND planner = ?2 AND planner_epoch = ?3 AND status = 'running'
