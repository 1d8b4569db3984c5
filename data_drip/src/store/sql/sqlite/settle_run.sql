UPDATE data_drip_backfill_runs
SET status = ?2, active_key = NULL, finished_at = CAST(unixepoch('subsec') * 1000 AS INTEGER),
    -- Nothing of it is in flight any more.
    processed = (
        SELECT coalesce(sum(b.processed), 0) FROM data_drip_backfill_run_batches b
        WHERE b.run_id = ?1 AND b.status = 'completed'
    )
WHERE id = ?1 AND status = 'running' AND planned = 1
