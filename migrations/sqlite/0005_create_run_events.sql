-- Who did what, when.
CREATE TABLE data_drip_run_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    backfiller_id TEXT,
    backfiller_name TEXT,
    detail TEXT
) STRICT;

CREATE INDEX data_drip_events_by_run ON data_drip_run_events (run_id, id);
