-- Differs by necessity: assignments are made from left to right, so that what is computed from a column comes before it.
UPDATE data_drip_backfill_runs
SET planner_losses = planner_losses + CASE WHEN asking_epoch = planner_epoch THEN 1 ELSE 0 END,
    planner = NULL, planner_epoch = planner_epoch + 1
WHERE planner = ?1
