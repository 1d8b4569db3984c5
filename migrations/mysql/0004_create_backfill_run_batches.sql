CREATE TABLE IF NOT EXISTS data_drip_backfill_run_batches (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    run_id BIGINT NOT NULL,
    position BIGINT NOT NULL CHECK (position >= 1),
    after_key LONGTEXT,
    upto_key LONGTEXT NOT NULL,
    planned_size BIGINT NOT NULL,
    processed BIGINT,
    status VARCHAR(16) NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'stopped')),
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    transients BIGINT NOT NULL DEFAULT 0,
    losses BIGINT NOT NULL DEFAULT 0,
    -- Losses while it ran alone in its process, and the claim that is known to have run so.
    lone_losses BIGINT NOT NULL DEFAULT 0,
    lone_epoch BIGINT,
    worker VARCHAR(255),
    -- Grows with each claim and each revocation, never falls: what fences off whoever lost it.
    epoch BIGINT NOT NULL DEFAULT 0,
    error LONGTEXT,
    started_at BIGINT,
    finished_at BIGINT,
    UNIQUE KEY data_drip_batches_by_position (run_id, position),
    -- By status first: what is running is little, and all of it is looked through for one worker's.
    KEY data_drip_batches_by_status (status, run_id, due_at, position),
    KEY data_drip_batches_finished (run_id, finished_at, id, status, processed, started_at),
    FOREIGN KEY (run_id) REFERENCES data_drip_backfill_runs (id) ON DELETE CASCADE,
    CHECK (status <> 'running' OR (worker IS NOT NULL AND started_at IS NOT NULL)),
    CHECK ((status IN ('completed', 'failed')) = (finished_at IS NOT NULL)),
    CHECK ((status = 'completed') = (processed IS NOT NULL)),
    CHECK (status <> 'failed' OR error IS NOT NULL)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
