UPDATE data_drip_backfill_run_batches
SET status = 'failed', error = $4, attempts = attempts + $5, transients = transients + $6, finished_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
WHERE id = $1 AND worker = $2 AND epoch = $3 AND status = 'running'
