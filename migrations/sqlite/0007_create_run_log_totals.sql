-- How many lines of a run are kept, which bounds them, and how many were dropped.
CREATE TABLE data_drip_run_log_totals (
    run_id INTEGER NOT NULL PRIMARY KEY REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE,
    kept INTEGER NOT NULL,
    dropped INTEGER NOT NULL
) STRICT;
