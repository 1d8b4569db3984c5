SELECT status, planner_epoch, prepared, key_spec, upper_key, cursor_key, planned, planned_batches, planned_elements,
    planner, total_exact, planner_losses
FROM data_drip_backfill_runs
WHERE id = ?1
