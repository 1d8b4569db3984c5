-- Whether a line is there of one of these claims, each of which is written down once.
SELECT 1 FROM (
    SELECT (value ->> 0)::bigint AS batch_id, (value ->> 1)::bigint AS claim FROM jsonb_array_elements($1::jsonb)
) AS page
-- One look into the index for each, whatever the statistics say.
CROSS JOIN LATERAL (
    SELECT 1 FROM data_drip_run_logs l WHERE l.batch_id = page.batch_id AND l.claim = page.claim
    ORDER BY l.batch_id, l.id LIMIT 1
) AS line
LIMIT 1
