-- By that index: the optimizer would read the run from its beginning on, to have it in order.
SELECT position, LEFT(error, ?2)
FROM data_drip_backfill_run_batches FORCE INDEX (data_drip_batches_by_status)
WHERE run_id = ?1 AND status = 'failed'
ORDER BY position
LIMIT ?3
