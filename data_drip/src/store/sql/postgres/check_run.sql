-- Whether a run is over: one row when it is, with whether a batch of it failed. One batch of each kind is looked for, and none
-- counted: this is asked after each that failed.
-- Not EXISTS: where the statistics tell of many batches of a kind, that reads all there are.
SELECT (
        SELECT b.id FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'failed'
        ORDER BY b.position LIMIT 1
    ) IS NOT NULL
FROM data_drip_backfill_runs r
WHERE r.id = $1 AND r.status = 'running' AND r.planned = 1
    AND (
        SELECT b.id FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'pending'
        ORDER BY b.due_at, b.position LIMIT 1
    ) IS NULL
    AND (
        SELECT b.id FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'running'
        ORDER BY b.worker, b.epoch LIMIT 1
    ) IS NULL
    AND (
        SELECT b.id FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'stopped'
        ORDER BY b.position LIMIT 1
    ) IS NULL
