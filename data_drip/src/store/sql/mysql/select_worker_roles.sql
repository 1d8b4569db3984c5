SELECT planner, id, backfill FROM data_drip_backfill_runs WHERE planner IS NOT NULL ORDER BY planner, id
