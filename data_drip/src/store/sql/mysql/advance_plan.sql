-- Differs by necessity: assignments are made from left to right, so that what is computed from a column comes before it.
UPDATE data_drip_backfill_runs
SET cursor_key = ?5, planner = CASE WHEN ?8 = 1 THEN NULL ELSE planner END,
    total = CASE WHEN ?8 = 1 THEN planned_elements + ?7 ELSE total END,
    total_exact = CASE WHEN ?8 = 1 THEN 1 ELSE total_exact END,
    planned_batches = planned_batches + ?6, planned_elements = planned_elements + ?7, planned = ?8
WHERE id = ?1 AND planner = ?2 AND planner_epoch = ?3 AND status = 'running' AND cursor_key <=> ?4 AND planned = 0
