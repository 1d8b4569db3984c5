-- One row for each incarnation of a process that executes batches; its lease.
CREATE TABLE IF NOT EXISTS data_drip_workers (
    id VARCHAR(255) NOT NULL PRIMARY KEY,
    host LONGTEXT NOT NULL,
    pid BIGINT NOT NULL,
    version LONGTEXT NOT NULL,
    slots BIGINT NOT NULL,
    queues LONGTEXT NOT NULL,
    beat BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    beat_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
