-- The lock that a worker's own connection holds: once it is free, that process is gone, whatever its lease says. Only of workers
-- that have one now.
CREATE TABLE data_drip_worker_locks (
    worker TEXT NOT NULL PRIMARY KEY,
    token BIGINT NOT NULL,
    -- Whose lock it is, where several servers share the tables and not the locks.
    server TEXT NOT NULL
);
