-- Differs by necessity: the numbers are read back, without RETURNING. LAST_INSERT_ID() is the first of them. Text taken from JSON
-- would have the character set of the database, and lose what that does not know.
INSERT INTO data_drip_backfill_run_batches (run_id, position, after_key, upto_key, planned_size, status, due_at)
SELECT ?1, batch.position, batch.after_key, batch.upto_key, batch.planned_size, 'pending', 0
FROM JSON_TABLE(?2, '$[*]' COLUMNS (
    position BIGINT PATH '$[0]', after_key LONGTEXT CHARACTER SET utf8mb4 PATH '$[1]',
    upto_key LONGTEXT CHARACTER SET utf8mb4 PATH '$[2]', planned_size BIGINT PATH '$[3]'
)) AS batch
ORDER BY batch.position;

SELECT id FROM data_drip_backfill_run_batches FORCE INDEX (PRIMARY)
WHERE id >= LAST_INSERT_ID() AND run_id = ?1
ORDER BY id
