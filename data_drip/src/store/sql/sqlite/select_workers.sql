SELECT w.id, w.beat, (w.expires_at < CAST(unixepoch('subsec') * 1000 AS INTEGER)
        OR w.beat_at > CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    EXISTS (SELECT 1 FROM data_drip_backfill_run_batches b WHERE b.worker = w.id AND b.status = 'running')
        OR EXISTS (SELECT 1 FROM data_drip_backfill_runs r WHERE r.planner = w.id),
    w.expires_at < CAST(unixepoch('subsec') * 1000 AS INTEGER) - 86400000,
    NULL
FROM data_drip_workers w
