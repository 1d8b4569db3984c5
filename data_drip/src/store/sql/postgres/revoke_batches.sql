UPDATE data_drip_backfill_run_batches SET status = 'stopped', epoch = epoch + 1
WHERE run_id = $1 AND status = 'running'
RETURNING id
