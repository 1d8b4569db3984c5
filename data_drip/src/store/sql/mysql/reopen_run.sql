UPDATE data_drip_backfill_runs
SET status = ?3, active_key = ?4, finished_at = NULL, error = NULL, planner_losses = 0,
    processed = NULL
WHERE id = ?1 AND status = ?2
