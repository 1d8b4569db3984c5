SELECT s.backfill, s.runs, r.id, r.status, r.created_at, r.finished_at,
    (SELECT p.key_spec FROM data_drip_backfill_runs p
        WHERE p.backfill = s.backfill AND p.key_spec IS NOT NULL ORDER BY p.id DESC LIMIT 1)
FROM (SELECT backfill, count(*) AS runs, max(id) AS last FROM data_drip_backfill_runs GROUP BY backfill) s
JOIN data_drip_backfill_runs r ON r.id = s.last
ORDER BY s.backfill
