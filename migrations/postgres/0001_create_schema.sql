-- Times are milliseconds since 1970 in UTC, by the database's clock. Keys are JSON as the database rendered them.

CREATE TABLE data_drip_schema (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL,
    -- A process whose own version is lower than this refuses to work with the database.
    min_compatible_version BIGINT NOT NULL
);
