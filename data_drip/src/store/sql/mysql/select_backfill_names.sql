SELECT DISTINCT backfill FROM data_drip_backfill_runs ORDER BY backfill
