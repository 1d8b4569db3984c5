-- Differs by necessity: without RETURNING the row is locked, and then written. Claims happen at once: each takes a row that
-- nobody else has locked, and, where the run bounds its concurrency, one of as many permits.
-- returns
SELECT n.id, n.run_id, n.position, n.after_key, n.upto_key, n.planned_size, n.attempts, n.transients, n.losses,
    n.epoch + 1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000, n.due_at,
    (SELECT bounded.concurrency FROM data_drip_backfill_runs bounded WHERE bounded.id = n.run_id)
FROM data_drip_backfill_run_batches n FORCE INDEX (data_drip_batches_by_status)
WHERE n.status = 'pending'
    AND n.due_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
    AND n.run_id = (
        SELECT r.id
        FROM data_drip_backfill_runs r
        WHERE r.status = 'running'
            AND JSON_CONTAINS(?2, JSON_QUOTE(r.backfill))
            AND (?3 IS NULL OR JSON_CONTAINS(?3, JSON_QUOTE(r.queue)))
            AND NOT JSON_CONTAINS(?4, CAST(r.id AS CHAR))
            AND (
                SELECT 1 FROM data_drip_backfill_run_batches d
                WHERE d.run_id = r.id AND d.status = 'pending' AND d.due_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 LIMIT 1
            ) IS NOT NULL
            AND (r.concurrency IS NULL OR (
                SELECT 1 FROM data_drip_run_permits p
                WHERE p.run_id = r.id AND (p.batch_id IS NULL OR (
                    SELECT 1 FROM data_drip_backfill_run_batches b
                    WHERE b.id = p.batch_id AND (b.epoch > p.epoch OR (b.epoch = p.epoch AND b.status <> 'running')) LIMIT 1
                ) IS NOT NULL) LIMIT 1
            ) IS NOT NULL)
        -- Round robin: the run after the one this slot served last.
        ORDER BY r.id <= ?5, r.id
        LIMIT 1
    )
ORDER BY n.due_at, n.position
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- when ?r13
-- Free is a permit whose batch is not running under the epoch that it was given for. A permit that another transaction
-- has just given away is looked at again in its new form, while the batch is still seen as it was before: its epoch is
-- then less than the permit's, and the permit not free.
SELECT p.number
FROM data_drip_run_permits p
WHERE p.run_id = ?r2 AND (p.batch_id IS NULL OR (
    SELECT 1 FROM data_drip_backfill_run_batches b
    WHERE b.id = p.batch_id AND (b.epoch > p.epoch OR (b.epoch = p.epoch AND b.status <> 'running')) LIMIT 1
) IS NOT NULL)
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- when ?r13
UPDATE data_drip_run_permits SET batch_id = ?r1, epoch = ?r10 WHERE run_id = ?r2 AND number = ?s1;

UPDATE data_drip_backfill_run_batches SET status = 'running', worker = ?1, epoch = ?r10, started_at = ?r11 WHERE id = ?r1
