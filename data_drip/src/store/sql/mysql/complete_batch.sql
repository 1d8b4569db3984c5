-- The guard's savepoint tells whether this is still the transaction that was begun for the claim: afterwards, so nothing may be
-- committed by itself until then. User code can switch that on again.
UPDATE data_drip_backfill_run_batches
SET status = 'completed', processed = ?4, error = NULL, finished_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000
WHERE id = ?1 AND worker = ?2 AND epoch = ?3 AND status = 'running' AND @@SESSION.autocommit = 0
