-- How many lines of a run are kept, which bounds them, and how many were dropped.
CREATE TABLE data_drip_run_log_totals (
    run_id BIGINT NOT NULL PRIMARY KEY REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE,
    kept BIGINT NOT NULL,
    dropped BIGINT NOT NULL
);
