-- From one name to the next by the index: there are far more runs than names.
WITH RECURSIVE names (backfill) AS (
    SELECT min(backfill) FROM data_drip_backfill_runs
    UNION ALL
    SELECT (SELECT r.backfill FROM data_drip_backfill_runs r WHERE r.backfill > n.backfill ORDER BY r.backfill LIMIT 1)
    FROM names n WHERE n.backfill IS NOT NULL
)
SELECT backfill FROM names WHERE backfill IS NOT NULL ORDER BY backfill
