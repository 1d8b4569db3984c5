-- Whether a run is over: one row when it is, with whether a batch of it failed. One batch of each kind is looked for, and none
-- counted: this is asked after each that failed.
SELECT (
        SELECT 1 FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_by_status)
        WHERE b.run_id = ?1 AND b.status = 'failed' LIMIT 1
    ) IS NOT NULL
FROM data_drip_backfill_runs r
WHERE r.id = ?1 AND r.status = 'running' AND r.planned = 1
    AND (
        SELECT 1 FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_by_status)
        WHERE b.run_id = ?1 AND b.status = 'pending' LIMIT 1
    ) IS NULL
    AND (
        SELECT 1 FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_by_status)
        WHERE b.run_id = ?1 AND b.status = 'running' LIMIT 1
    ) IS NULL
    AND (
        SELECT 1 FROM data_drip_backfill_run_batches b FORCE INDEX (data_drip_batches_by_status)
        WHERE b.run_id = ?1 AND b.status = 'stopped' LIMIT 1
    ) IS NULL
