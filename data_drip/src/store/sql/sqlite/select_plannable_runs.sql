SELECT id FROM data_drip_backfill_runs
WHERE (status = 'enqueued' OR (status = 'running' AND planned = 0))
    -- Its own role comes back to a worker that could not release it.
    AND (planner IS NULL OR planner = ?3)
    AND backfill IN (SELECT value FROM json_each(?1))
    AND (?2 IS NULL OR queue IN (SELECT value FROM json_each(?2)))
ORDER BY id
