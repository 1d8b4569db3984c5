-- The lock that a worker's own connection holds: once it is free, that process is gone, whatever its lease says. Only of workers
-- that have one now.
CREATE TABLE IF NOT EXISTS data_drip_worker_locks (
    worker VARCHAR(255) NOT NULL PRIMARY KEY,
    token BIGINT NOT NULL,
    -- Whose lock it is, where several servers share the tables and not the locks.
    server VARCHAR(255) NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
