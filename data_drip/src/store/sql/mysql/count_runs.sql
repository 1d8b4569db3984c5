SELECT
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'pending'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'enqueued'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'running'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'paused'),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'completed' AND finished_at > clock.now - ?1),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'failed' AND finished_at > clock.now - ?1),
    (SELECT count(*) FROM data_drip_backfill_runs WHERE status = 'stopped' AND finished_at > clock.now - ?1)
FROM (SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000 AS now) AS clock
