SELECT id FROM data_drip_backfill_runs
WHERE (status = 'enqueued' OR (status = 'running' AND planned = 0))
    AND planner IS NULL
    AND backfill IN (SELECT value FROM json_each(?1))
    AND (?2 IS NULL OR queue IN (SELECT value FROM json_each(?2)))
ORDER BY id
