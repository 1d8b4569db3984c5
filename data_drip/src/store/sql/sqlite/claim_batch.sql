UPDATE data_drip_backfill_run_batches
SET status = 'running', worker = ?1, epoch = epoch + 1, started_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
WHERE id = (
    SELECT b.id
    FROM data_drip_backfill_runs r
    JOIN data_drip_backfill_run_batches b ON b.id = (
        SELECT n.id FROM data_drip_backfill_run_batches n
        WHERE n.run_id = r.id AND n.status = 'pending' AND n.due_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
        ORDER BY n.due_at, n.position LIMIT 1
    )
    WHERE r.status = 'running'
        AND r.backfill IN (SELECT value FROM json_each(?2))
        AND (?3 IS NULL OR r.queue IN (SELECT value FROM json_each(?3)))
        AND r.id NOT IN (SELECT value FROM json_each(?4))
        AND (r.concurrency IS NULL OR r.concurrency > (
            SELECT count(*) FROM data_drip_backfill_run_batches c WHERE c.run_id = r.id AND c.status = 'running'
        ))
    -- Round robin: the run after the one this slot served last.
    ORDER BY r.id <= ?5, r.id
    LIMIT 1
)
RETURNING id, run_id, position, after_key, upto_key, planned_size, attempts, transients, losses, epoch, started_at, due_at
