-- One row for each incarnation of a process that executes batches; its lease.
CREATE TABLE data_drip_workers (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    version TEXT NOT NULL,
    slots BIGINT NOT NULL,
    queues TEXT NOT NULL,
    beat BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    beat_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
