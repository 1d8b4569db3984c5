SELECT position, left(error, $2::integer)
FROM data_drip_backfill_run_batches
WHERE run_id = $1 AND status = 'failed'
ORDER BY position
LIMIT $3
