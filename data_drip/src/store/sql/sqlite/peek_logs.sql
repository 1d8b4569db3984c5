-- Whether a line is there of one of these claims, each of which is written down once.
SELECT 1 FROM json_each(?1) AS page
CROSS JOIN data_drip_run_logs l ON l.batch_id = page.value ->> 0 AND l.claim = page.value ->> 1
LIMIT 1
