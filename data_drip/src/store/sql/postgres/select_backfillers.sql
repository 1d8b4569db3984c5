-- From one person to the next by the index: there are far more runs than people.
WITH RECURSIVE people (id) AS (
    SELECT min(backfiller_id) FROM data_drip_backfill_runs
    UNION ALL
    SELECT (SELECT r.backfiller_id FROM data_drip_backfill_runs r WHERE r.backfiller_id > p.id
        ORDER BY r.backfiller_id LIMIT 1)
    FROM people p WHERE p.id IS NOT NULL
)
SELECT r.backfiller_id, r.backfiller_name
FROM (
    SELECT (SELECT l.id FROM data_drip_backfill_runs l WHERE l.backfiller_id = people.id ORDER BY l.id DESC LIMIT 1) AS last
    FROM people WHERE id IS NOT NULL
) p
JOIN data_drip_backfill_runs r ON r.id = p.last
ORDER BY r.id DESC
LIMIT $1
