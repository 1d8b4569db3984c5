-- Differs by necessity: even an UPDATE that finds no row takes SQLite's only write lock, so idle slots look first.
SELECT 1
FROM data_drip_backfill_runs r
WHERE r.status = 'running'
    AND r.backfill IN (SELECT value FROM json_each(?1))
    AND (?2 IS NULL OR r.queue IN (SELECT value FROM json_each(?2)))
    AND r.id NOT IN (SELECT value FROM json_each(?3))
    AND EXISTS (
        SELECT 1 FROM data_drip_backfill_run_batches n
        WHERE n.run_id = r.id AND n.status = 'pending' AND n.due_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
    )
LIMIT 1
