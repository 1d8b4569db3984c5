-- Among the latest runs of the person: somebody may have started very many.
SELECT backfill
FROM (SELECT id, backfill FROM data_drip_backfill_runs WHERE backfiller_id = $1 ORDER BY id DESC LIMIT 1000) AS r
GROUP BY backfill
ORDER BY max(id) DESC
LIMIT $2
