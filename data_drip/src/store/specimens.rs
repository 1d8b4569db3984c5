//! A run and a batch for tests that need them and do not care.

use chrono::Utc;

use crate::key::KeyRange;
use crate::run::{BatchId, Counts, Run, RunBatch, RunId};
use crate::status::{BatchStatus, RunStatus};

pub(super) fn a_run() -> Run {
    Run {
        id: RunId(1),
        backfill: "x".into(),
        options: serde_json::Map::default(),
        batch_size: 10,
        sleep: std::time::Duration::ZERO,
        limit: None,
        queue: "default".into(),
        concurrency: None,
        max_attempts: 1,
        timeout: None,
        status: RunStatus::Running,
        backfiller: None,
        error: None,
        start_at: None,
        created_at: Utc::now(),
        started_at: None,
        finished_at: None,
        planned: false,
        total: None,
        counts: Counts::default(),
        throughput: None,
        read_at: Utc::now(),
    }
}

pub(super) fn a_batch(range: KeyRange) -> RunBatch {
    RunBatch {
        id: BatchId(1),
        run_id: RunId(1),
        position: 1,
        range,
        planned_size: 3,
        processed: None,
        status: BatchStatus::Running,
        attempts: 1,
        losses: 0,
        worker: None,
        error: None,
        due_at: None,
        started_at: None,
        finished_at: None,
    }
}
