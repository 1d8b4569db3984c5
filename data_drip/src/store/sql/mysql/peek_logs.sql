-- Whether a line is there of one of these claims, each of which is written down once.
SELECT 1
FROM JSON_TABLE(?1, '$[*]' COLUMNS (batch_id BIGINT PATH '$[0]', claim BIGINT PATH '$[1]')) AS page
STRAIGHT_JOIN data_drip_run_logs l FORCE INDEX (data_drip_logs_by_batch)
    ON l.batch_id = page.batch_id AND l.claim = page.claim
LIMIT 1
