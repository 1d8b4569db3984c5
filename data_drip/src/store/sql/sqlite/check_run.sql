-- Whether a run is over: one row when it is, with whether a batch of it failed. One batch of each kind is looked for, and none
-- counted: this is asked after each that failed.
SELECT EXISTS (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'failed')
FROM data_drip_backfill_runs r
WHERE r.id = ?1 AND r.status = 'running' AND r.planned = 1
    AND NOT EXISTS (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'pending')
    AND NOT EXISTS (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'running')
    AND NOT EXISTS (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'stopped')
