-- Differs by necessity: only in the transaction that was begun for this claim. A COMMIT or ROLLBACK in user code would
-- have left it, and the setting with it.
UPDATE data_drip_backfill_run_batches
SET status = 'completed', processed = $4, error = NULL, finished_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE id = $1 AND worker = $2 AND epoch = $3 AND status = 'running'
    AND current_setting('data_drip.fence', true) = $1::text || '/' || $3::text
