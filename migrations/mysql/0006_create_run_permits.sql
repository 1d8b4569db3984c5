-- As many as a run that bounds its concurrency may have batches in flight. Each was given for one claim of one batch, and is
-- free again when that batch is not running under that epoch any more: nobody has to give it back.
CREATE TABLE IF NOT EXISTS data_drip_run_permits (
    run_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    batch_id BIGINT,
    epoch BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, number),
    FOREIGN KEY (run_id) REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
