-- How many lines of a run are kept, which bounds them, and how many were dropped.
CREATE TABLE IF NOT EXISTS data_drip_run_log_totals (
    run_id BIGINT NOT NULL PRIMARY KEY,
    kept BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    FOREIGN KEY (run_id) REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
