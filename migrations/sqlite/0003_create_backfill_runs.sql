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
    -- Elements processed, once the run is settled and nothing of it is in flight.
    processed INTEGER,
    planner TEXT,
    -- Processes that died while they asked the run's user code, and the role that is known to be about to ask.
    planner_losses INTEGER NOT NULL DEFAULT 0,
    asking_epoch INTEGER,
    planner_epoch INTEGER NOT NULL DEFAULT 0,
    CHECK ((status IN ('completed', 'failed', 'stopped')) = (finished_at IS NOT NULL)),
    CHECK ((status IN ('completed', 'failed', 'stopped')) = (active_key IS NULL)),
    CHECK ((backfiller_id IS NULL) = (backfiller_name IS NULL)),
    CHECK (processed IS NULL OR status IN ('completed', 'failed')),
    CHECK (status <> 'completed' OR planned = 1),
    CHECK (status <> 'running' OR started_at IS NOT NULL)
) STRICT;

CREATE INDEX data_drip_runs_by_status ON data_drip_backfill_runs (status, id);
CREATE INDEX data_drip_runs_by_end ON data_drip_backfill_runs (status, finished_at);
CREATE INDEX data_drip_runs_by_backfill ON data_drip_backfill_runs (backfill, id);
CREATE INDEX data_drip_runs_by_backfiller ON data_drip_backfill_runs (backfiller_id, id);
CREATE INDEX data_drip_runs_by_planner ON data_drip_backfill_runs (planner) WHERE planner IS NOT NULL;
