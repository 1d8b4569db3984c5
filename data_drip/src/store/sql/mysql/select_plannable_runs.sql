SELECT id FROM data_drip_backfill_runs
WHERE (status = 'enqueued' OR (status = 'running' AND planned = 0))
    -- Its own role comes back to a worker that could not release it.
    AND (planner IS NULL OR planner = ?3)
    AND JSON_CONTAINS(?1, JSON_QUOTE(backfill))
    AND (?2 IS NULL OR JSON_CONTAINS(?2, JSON_QUOTE(queue)))
ORDER BY id
