UPDATE data_drip_backfill_runs
SET status = ?2, active_key = NULL, finished_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000,
    -- Nothing of it is in flight any more.
    processed = (
        SELECT CAST(COALESCE(SUM(b.processed), 0) AS SIGNED) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = ?1 AND b.status = 'completed'
    )
WHERE id = ?1 AND status = 'running' AND planned = 1
