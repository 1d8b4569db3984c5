SELECT position, finished_at - started_at, processed
FROM data_drip_backfill_run_batches
WHERE run_id = ?1 AND status = 'completed'
ORDER BY finished_at DESC, id DESC
LIMIT ?2
