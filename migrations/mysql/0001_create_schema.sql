-- Times are milliseconds since 1970 in UTC, by the database's clock. Keys are JSON as the database rendered them. Text that
-- others write is LONGTEXT: without strict mode anything shorter would be cut in silence.

CREATE TABLE IF NOT EXISTS data_drip_schema (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL,
    -- A process whose own version is lower than this refuses to work with the database.
    min_compatible_version BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
