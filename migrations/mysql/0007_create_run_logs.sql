-- What user code said through `tracing` while it worked on a batch. Times are those of the worker's own clock.
CREATE TABLE IF NOT EXISTS data_drip_run_logs (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    run_id BIGINT NOT NULL,
    batch_id BIGINT NOT NULL,
    -- The batch's epoch: tells its attempts apart.
    claim BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- From 1, an error, to 5, a trace.
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 5),
    target LONGTEXT NOT NULL,
    message LONGTEXT NOT NULL,
    fields LONGTEXT NOT NULL,
    -- Not zero for a line that stands in place of so many.
    dropped BIGINT NOT NULL,
    KEY data_drip_logs_by_run (run_id, id),
    KEY data_drip_logs_by_batch (batch_id, id),
    FOREIGN KEY (run_id) REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
