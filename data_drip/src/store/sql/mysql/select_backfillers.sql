-- Differs by necessity: the index has the beginnings of ids only, and does not lead from one to the next.
SELECT r.backfiller_id, r.backfiller_name
FROM (
    SELECT max(id) AS last FROM data_drip_backfill_runs WHERE backfiller_id IS NOT NULL GROUP BY backfiller_id
) p
JOIN data_drip_backfill_runs r ON r.id = p.last
ORDER BY r.id DESC
LIMIT ?1
