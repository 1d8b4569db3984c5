-- What a claim would find, without a lock.
SELECT 1
FROM data_drip_backfill_runs r
WHERE r.status = 'running'
    AND JSON_CONTAINS(?1, JSON_QUOTE(r.backfill))
    AND (?2 IS NULL OR JSON_CONTAINS(?2, JSON_QUOTE(r.queue)))
    AND NOT JSON_CONTAINS(?3, CAST(r.id AS CHAR))
    AND (
        SELECT 1 FROM data_drip_backfill_run_batches n
        WHERE n.run_id = r.id AND n.status = 'pending' AND n.due_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 LIMIT 1
    ) IS NOT NULL
    AND (r.concurrency IS NULL OR (
        SELECT 1 FROM data_drip_run_permits p
        WHERE p.run_id = r.id AND (p.batch_id IS NULL OR (
            SELECT 1 FROM data_drip_backfill_run_batches b
            WHERE b.id = p.batch_id AND (b.epoch > p.epoch OR (b.epoch = p.epoch AND b.status <> 'running')) LIMIT 1
        ) IS NOT NULL) LIMIT 1
    ) IS NOT NULL)
LIMIT 1
