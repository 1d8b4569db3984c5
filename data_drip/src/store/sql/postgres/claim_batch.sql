-- Differs by necessity: claims happen at once. Each takes a row that nobody else has locked, and, where the run bounds
-- its concurrency, one of as many permits.
WITH found AS (
    SELECT run.id AS run_id, permit.number AS permit, due.id AS batch_id, due.epoch
    FROM (
        SELECT r.id, r.concurrency
        FROM data_drip_backfill_runs r
        WHERE r.status = 'running'
            AND $2::jsonb ? r.backfill
            AND ($3 IS NULL OR $3::jsonb ? r.queue)
            AND NOT $4::jsonb @> to_jsonb(r.id)
        -- Round robin: the run after the one this slot served last.
        ORDER BY r.id <= $5, r.id
    ) AS run
    LEFT JOIN LATERAL (
        -- Free is a permit whose batch is not running under the epoch that it was given for. A permit that another
        -- transaction has just given away is looked at again in its new form, while the batch is still seen as it was
        -- before: its epoch is then less than the permit's, and the permit not free.
        SELECT p.number
        FROM data_drip_run_permits p
        WHERE p.run_id = run.id AND run.concurrency IS NOT NULL
            AND (p.batch_id IS NULL OR EXISTS (
                SELECT 1 FROM data_drip_backfill_run_batches b
                WHERE b.id = p.batch_id AND (b.epoch > p.epoch OR (b.epoch = p.epoch AND b.status <> 'running'))
            ))
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS permit ON true
    CROSS JOIN LATERAL (
        SELECT n.id, n.epoch
        FROM data_drip_backfill_run_batches n
        WHERE n.run_id = run.id AND n.status = 'pending'
            -- In brackets of its own the clock is read once, and bounds the index.
            AND n.due_at <= (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
            AND (run.concurrency IS NULL OR permit.number IS NOT NULL)
        ORDER BY n.due_at, n.position
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT 1
), permitted AS (
    UPDATE data_drip_run_permits p
    SET batch_id = found.batch_id, epoch = found.epoch + 1
    FROM found
    WHERE p.run_id = found.run_id AND p.number = found.permit
)
UPDATE data_drip_backfill_run_batches b
SET status = 'running', worker = $1, epoch = b.epoch + 1, started_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM found
WHERE b.id = found.batch_id
RETURNING b.id, b.run_id, b.position, b.after_key, b.upto_key, b.planned_size, b.attempts, b.transients, b.losses, b.epoch,
    b.started_at, b.due_at
