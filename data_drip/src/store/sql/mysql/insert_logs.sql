-- Text taken from JSON would have the character set of the database, and lose what that does not know.
INSERT INTO data_drip_run_logs (run_id, batch_id, claim, at, level, target, message, fields, dropped)
SELECT ?1, line.batch_id, line.claim, line.at, line.level, line.target, line.message, line.fields, line.dropped
FROM JSON_TABLE(?2, '$[*]' COLUMNS (
    place FOR ORDINALITY, batch_id BIGINT PATH '$[0]', claim BIGINT PATH '$[1]', at BIGINT PATH '$[2]',
    level INTEGER PATH '$[3]', target LONGTEXT CHARACTER SET utf8mb4 PATH '$[4]',
    message LONGTEXT CHARACTER SET utf8mb4 PATH '$[5]', fields LONGTEXT CHARACTER SET utf8mb4 PATH '$[6]',
    dropped BIGINT PATH '$[7]'
)) AS line
ORDER BY line.place
