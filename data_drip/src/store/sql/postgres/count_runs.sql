SELECT
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'pending'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'enqueued'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'running'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'paused'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'completed' AND finished_at > clock.now - $1),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'failed' AND finished_at > clock.now - $1),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'stopped' AND finished_at > clock.now - $1)
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) AS clock
