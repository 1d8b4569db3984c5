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
        -- Not `IN (SELECT …)`: that builds a table of its own for each of the lists, for every batch.
        AND EXISTS (SELECT 1 FROM json_each(?2) WHERE value = r.backfill)
        AND (?3 IS NULL OR EXISTS (SELECT 1 FROM json_each(?3) WHERE value = r.queue))
        AND NOT EXISTS (SELECT 1 FROM json_each(?4) WHERE value = r.id)
        AND (r.concurrency IS NULL OR r.concurrency > (
            SELECT count(*) FROM data_drip_backfill_run_batches c WHERE c.run_id = r.id AND c.status = 'running'
        ))
    -- Round robin: the run after the one this slot served last.
    ORDER BY r.id <= ?5, r.id
    LIMIT 1
)
RETURNING id, run_id, position, after_key, upto_key, planned_size, attempts, transients, losses, epoch, started_at, due_at
