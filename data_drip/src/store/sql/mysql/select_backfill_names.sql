-- Differs by necessity: the index has the beginnings of names only, and does not lead from one to the next.
SELECT DISTINCT backfill FROM data_drip_backfill_runs ORDER BY backfill
