-- What a claim would find, without a lock.
SELECT 1
FROM data_drip_backfill_runs r
WHERE r.status = 'running'
    AND $1::jsonb ? r.backfill
    AND ($2 IS NULL OR $2::jsonb ? r.queue)
    AND NOT $3::jsonb @> to_jsonb(r.id)
    -- Not EXISTS: that is free to look for the first one in the table, behind all that are completed.
    AND (
        SELECT n.id FROM data_drip_backfill_run_batches n
        WHERE n.run_id = r.id AND n.status = 'pending' AND n.due_at <= (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
        ORDER BY n.due_at, n.position LIMIT 1
    ) IS NOT NULL
    AND (r.concurrency IS NULL OR EXISTS (
        SELECT 1 FROM data_drip_run_permits p
        WHERE p.run_id = r.id AND (p.batch_id IS NULL OR EXISTS (
            SELECT 1 FROM data_drip_backfill_run_batches b
            WHERE b.id = p.batch_id AND (b.epoch > p.epoch OR (b.epoch = p.epoch AND b.status <> 'running'))
        ))
    ))
LIMIT 1
