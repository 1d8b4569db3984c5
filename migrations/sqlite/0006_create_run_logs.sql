-- What user code said through `tracing` while it worked on a batch. Times are those of the worker's own clock.
CREATE TABLE data_drip_run_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE,
    batch_id INTEGER NOT NULL,
    -- The batch's epoch: tells its attempts apart.
    claim INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- From 1, an error, to 5, a trace.
    level INTEGER NOT NULL CHECK (level BETWEEN 1 AND 5),
    target TEXT NOT NULL,
    message TEXT NOT NULL,
    fields TEXT NOT NULL,
    -- Not zero for a line that stands in place of so many.
    dropped INTEGER NOT NULL
) STRICT;

CREATE INDEX data_drip_logs_by_run ON data_drip_run_logs (run_id, id);
CREATE INDEX data_drip_logs_by_batch ON data_drip_run_logs (batch_id, id);
