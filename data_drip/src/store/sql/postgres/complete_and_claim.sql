-- `complete_batch.sql` and `claim_batch.sql` in one statement, for one round trip less. All parts of it see the tables as they
-- were before it.
WITH completed AS (
    UPDATE data_drip_backfill_run_batches
    SET status = 'completed', processed = $4, error = NULL, finished_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    WHERE id = $1 AND worker = $2 AND epoch = $3 AND status = 'running'
        AND current_setting('data_drip.fence', true) = $1::text || '/' || $3::text
    RETURNING id
), found AS (
    SELECT run.id AS run_id, permit.number AS permit, due.id AS batch_id, due.epoch
    FROM (
        SELECT r.id, r.concurrency
        FROM data_drip_backfill_runs r
        -- Before anything is locked that is to be claimed: whoever stops the run now may have this batch, and waits for others.
        WHERE (SELECT count(*) FROM completed) = 1 AND r.status = 'running'
            AND $5::jsonb ? r.backfill
            AND ($6 IS NULL OR $6::jsonb ? r.queue)
            AND NOT $7::jsonb @> to_jsonb(r.id)
        -- Round robin: the run after the one this slot served last.
        ORDER BY r.id <= $8, r.id
    ) AS run
    LEFT JOIN LATERAL (
        -- Free is a permit whose batch is not running under the epoch that it was given for. A permit that another
        -- transaction has just given away is looked at again in its new form, while the batch is still seen as it was
        -- before: its epoch is then less than the permit's, and the permit not free. So is the one of the batch that is being
        -- completed, whose completion is not seen here yet: that one is free.
        SELECT p.number
        FROM data_drip_run_permits p
        WHERE p.run_id = run.id AND run.concurrency IS NOT NULL
            AND (p.batch_id IS NULL OR EXISTS (
                SELECT 1 FROM data_drip_backfill_run_batches b
                WHERE b.id = p.batch_id AND (b.epoch > p.epoch OR (b.epoch = p.epoch AND b.status <> 'running'))
            ) OR (p.batch_id = $1 AND p.epoch = $3))
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
), claimed AS (
    UPDATE data_drip_backfill_run_batches b
    SET status = 'running', worker = $2, epoch = b.epoch + 1, started_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM found
    WHERE b.id = found.batch_id
    RETURNING b.id, b.run_id, b.position, b.after_key, b.upto_key, b.planned_size, b.attempts, b.transients, b.losses, b.epoch,
        b.started_at, b.due_at
)
SELECT id, NULL::bigint, NULL::bigint, NULL::text, NULL::text, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint,
    NULL::bigint, NULL::bigint
FROM completed
UNION ALL
SELECT * FROM claimed
