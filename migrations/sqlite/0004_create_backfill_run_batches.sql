CREATE TABLE data_drip_backfill_run_batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 1),
    after_key TEXT,
    upto_key TEXT NOT NULL,
    planned_size INTEGER NOT NULL,
    processed INTEGER,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'stopped')),
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    transients INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    -- Losses while it ran alone in its process, and the claim that is known to have run so.
    lone_losses INTEGER NOT NULL DEFAULT 0,
    lone_epoch INTEGER,
    worker TEXT,
    -- Grows with each claim and each revocation, never falls: what fences off whoever lost it.
    epoch INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    started_at INTEGER,
    finished_at INTEGER,
    UNIQUE (run_id, position),
    CHECK (status <> 'running' OR (worker IS NOT NULL AND started_at IS NOT NULL)),
    CHECK ((status IN ('completed', 'failed')) = (finished_at IS NOT NULL)),
    CHECK ((status = 'completed') = (processed IS NOT NULL)),
    CHECK (status <> 'failed' OR error IS NOT NULL)
) STRICT;

-- One for both, in an order that a claim does not change: claiming one batch and completing the one before it write to
-- the same page, and every page counts, since it goes to the log and from there to the file.
CREATE INDEX data_drip_batches_open ON data_drip_backfill_run_batches (run_id, due_at, position, status)
    WHERE status = 'pending' OR status = 'running';
CREATE INDEX data_drip_batches_completed ON data_drip_backfill_run_batches (run_id, finished_at, processed, started_at)
    WHERE status = 'completed';
CREATE INDEX data_drip_batches_failed ON data_drip_backfill_run_batches (run_id, position)
    WHERE status = 'failed';
CREATE INDEX data_drip_batches_stopped ON data_drip_backfill_run_batches (run_id, position)
    WHERE status = 'stopped';
