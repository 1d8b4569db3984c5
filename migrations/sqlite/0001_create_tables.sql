-- Times are milliseconds since 1970 in UTC, by the database's clock. Keys are JSON as the database rendered them.

CREATE TABLE data_drip_schema (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    -- A process whose own version is lower than this refuses to work with the database.
    min_compatible_version INTEGER NOT NULL
) STRICT;

INSERT INTO data_drip_schema (id, version, min_compatible_version) VALUES (1, 1, 1);

-- One row for each incarnation of a process that executes batches; its lease.
CREATE TABLE data_drip_workers (
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    slots INTEGER NOT NULL,
    queues TEXT NOT NULL,
    beat INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE data_drip_backfill_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    backfill TEXT NOT NULL,
    options TEXT NOT NULL,
    -- Hash of backfill, options and limit while the run is active: at most one such run at a time.
    active_key TEXT UNIQUE,
    batch_size INTEGER NOT NULL CHECK (batch_size >= 1),
    sleep_ms INTEGER NOT NULL CHECK (sleep_ms >= 0),
    element_limit INTEGER CHECK (element_limit >= 1),
    queue TEXT NOT NULL,
    concurrency INTEGER CHECK (concurrency >= 1),
    max_attempts INTEGER NOT NULL CHECK (max_attempts >= 1),
    timeout_ms INTEGER CHECK (timeout_ms >= 1),
    status TEXT NOT NULL
        CHECK (status IN ('pending', 'enqueued', 'running', 'paused', 'completed', 'failed', 'stopped')),
    backfiller_id TEXT,
    backfiller_name TEXT,
    error TEXT,
    start_at INTEGER,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    -- The plan: table and key as pinned by the first planner, the greatest key at that time, how far it walked.
    prepared INTEGER NOT NULL DEFAULT 0 CHECK (prepared IN (0, 1)),
    key_spec TEXT,
    upper_key TEXT,
    cursor_key TEXT,
    planned INTEGER NOT NULL DEFAULT 0 CHECK (planned IN (0, 1)),
    planned_batches INTEGER NOT NULL DEFAULT 0,
    planned_elements INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    total_exact INTEGER NOT NULL DEFAULT 0 CHECK (total_exact IN (0, 1)),
    planner TEXT,
    -- Processes that died while they planned it and had not prepared it yet.
    planner_losses INTEGER NOT NULL DEFAULT 0,
    planner_epoch INTEGER NOT NULL DEFAULT 0,
    CHECK ((status IN ('completed', 'failed', 'stopped')) = (finished_at IS NOT NULL)),
    CHECK ((status IN ('completed', 'failed', 'stopped')) = (active_key IS NULL)),
    CHECK ((backfiller_id IS NULL) = (backfiller_name IS NULL)),
    CHECK (status <> 'completed' OR planned = 1),
    CHECK (status <> 'running' OR started_at IS NOT NULL)
) STRICT;

CREATE INDEX data_drip_runs_by_status ON data_drip_backfill_runs (status, id);
CREATE INDEX data_drip_runs_by_backfill ON data_drip_backfill_runs (backfill, id);
CREATE INDEX data_drip_runs_by_backfiller ON data_drip_backfill_runs (backfiller_id, id);
CREATE INDEX data_drip_runs_by_planner ON data_drip_backfill_runs (planner) WHERE planner IS NOT NULL;

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

CREATE INDEX data_drip_batches_pending ON data_drip_backfill_run_batches (run_id, due_at, position)
    WHERE status = 'pending';
-- One for both questions, which of a run and which of a worker: it is as small as there are slots, and every batch
-- writes to it twice.
CREATE INDEX data_drip_batches_running ON data_drip_backfill_run_batches (run_id, worker, epoch)
    WHERE status = 'running';
CREATE INDEX data_drip_batches_completed ON data_drip_backfill_run_batches (run_id, finished_at, processed, started_at)
    WHERE status = 'completed';
CREATE INDEX data_drip_batches_failed ON data_drip_backfill_run_batches (run_id, position)
    WHERE status = 'failed';
CREATE INDEX data_drip_batches_stopped ON data_drip_backfill_run_batches (run_id, position)
    WHERE status = 'stopped';

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
