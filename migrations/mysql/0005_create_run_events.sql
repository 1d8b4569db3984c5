-- Who did what, when.
CREATE TABLE IF NOT EXISTS data_drip_run_events (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    run_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    action LONGTEXT NOT NULL,
    backfiller_id LONGTEXT,
    backfiller_name LONGTEXT,
    detail LONGTEXT,
    KEY data_drip_events_by_run (run_id, id),
    FOREIGN KEY (run_id) REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
