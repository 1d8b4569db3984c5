-- What has to differ when a page that somebody watches has to: a text for all runs together (0), one for the workers (-1)
-- and one for each run that is asked for. Each part is an entry or a few of an index, however much there is.
SELECT 0, json_build_array(
    (SELECT id FROM data_drip_backfill_runs ORDER BY id DESC LIMIT 1),
    (SELECT id FROM data_drip_run_events ORDER BY id DESC LIMIT 1),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'pending'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'enqueued'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'running'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'paused'),
    (SELECT finished_at FROM data_drip_backfill_runs WHERE status = 'completed' ORDER BY finished_at DESC LIMIT 1),
    (SELECT finished_at FROM data_drip_backfill_runs WHERE status = 'failed' ORDER BY finished_at DESC LIMIT 1),
    (SELECT finished_at FROM data_drip_backfill_runs WHERE status = 'stopped' ORDER BY finished_at DESC LIMIT 1)
)::text
UNION ALL
SELECT -1, json_build_array(
    (SELECT count(*) FROM data_drip_workers),
    (SELECT sum(beat) FROM data_drip_workers),
    (SELECT sum(planner_epoch) FROM data_drip_backfill_runs WHERE planner IS NOT NULL)
)::text
UNION ALL
SELECT r.id, json_build_array(
    r.status, r.planned, r.planned_batches, r.total, r.total_exact, r.processed, r.finished_at,
    -- Of a settled run these change by a request only, and that is an event.
    -- Failed ones are not counted: with as many planned, pending and running as before, none has failed or completed.
    CASE WHEN r.finished_at IS NULL THEN
        (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'pending') END,
    -- A batch that is to be tried again is due later than it was.
    CASE WHEN r.finished_at IS NULL THEN
        (SELECT b.due_at FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'pending'
            ORDER BY b.due_at DESC LIMIT 1) END,
    (SELECT count(*) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'running'),
    (SELECT max(b.started_at) FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'running'),
    (SELECT b.finished_at FROM data_drip_backfill_run_batches b WHERE b.run_id = r.id AND b.status = 'completed'
        ORDER BY b.finished_at DESC LIMIT 1),
    (SELECT e.id FROM data_drip_run_events e WHERE e.run_id = r.id ORDER BY e.id DESC LIMIT 1),
    (SELECT l.kept + l.dropped FROM data_drip_run_log_totals l WHERE l.run_id = r.id)
)::text
FROM (SELECT value::bigint AS id FROM jsonb_array_elements_text($1::jsonb)) AS asked
JOIN data_drip_backfill_runs r ON r.id = asked.id
