-- What complete_batch and claim_batch do, for one round trip. The batch that is being completed does not count among
-- those that run.
UPDATE data_drip_backfill_run_batches
SET status = iif(id = ?1, 'completed', 'running'),
    worker = ?2,
    epoch = epoch + (id <> ?1),
    processed = iif(id = ?1, ?4, NULL),
    error = iif(id = ?1, NULL, error),
    started_at = iif(id = ?1, started_at, CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    finished_at = iif(id = ?1, CAST(unixepoch('subsec') * 1000 AS INTEGER), NULL)
WHERE id IN (?1, (
        SELECT b.id
        FROM data_drip_backfill_runs r
        JOIN data_drip_backfill_run_batches b ON b.id = (
            SELECT n.id FROM data_drip_backfill_run_batches n
            WHERE n.run_id = r.id AND n.status = 'pending' AND n.due_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
            ORDER BY n.due_at, n.position LIMIT 1
        )
        WHERE r.status = 'running'
            AND EXISTS (SELECT 1 FROM json_each(?5) WHERE value = r.backfill)
            AND (?6 IS NULL OR EXISTS (SELECT 1 FROM json_each(?6) WHERE value = r.queue))
            AND NOT EXISTS (SELECT 1 FROM json_each(?7) WHERE value = r.id)
            AND (r.concurrency IS NULL OR r.concurrency > (
                SELECT count(*) FROM data_drip_backfill_run_batches c
                WHERE c.run_id = r.id AND c.status = 'running' AND c.id <> ?1
            ))
        ORDER BY r.id <= ?8, r.id
        LIMIT 1
    ))
    AND (id <> ?1 OR (worker = ?2 AND epoch = ?3 AND status = 'running'))
RETURNING id, run_id, position, after_key, upto_key, planned_size, attempts, transients, losses, epoch, started_at, due_at
