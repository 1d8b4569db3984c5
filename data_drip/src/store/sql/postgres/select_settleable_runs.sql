-- Not NOT EXISTS: where the statistics still tell of many pending batches, that reads all there are.
SELECT r.id FROM data_drip_backfill_runs r
WHERE r.status = 'running' AND r.planned = 1
    AND (
        SELECT b.id FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'pending'
        ORDER BY b.due_at, b.position LIMIT 1
    ) IS NULL
    AND (
        SELECT b.id FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'running'
        ORDER BY b.worker, b.epoch LIMIT 1
    ) IS NULL
