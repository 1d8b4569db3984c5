UPDATE data_drip_backfill_runs
SET planner = NULL, planner_epoch = planner_epoch + 1,
    planner_losses = planner_losses + CASE WHEN prepared = 0 THEN 1 ELSE 0 END
WHERE planner = ?1
