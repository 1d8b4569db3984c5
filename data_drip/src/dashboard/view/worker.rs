//! A process that works on batches, or did.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::SHORT;
use crate::dashboard::format::{self, Moment};
use crate::run::{RunId, WorkerInfo};

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct WorkerView {
    id: String,
    host: String,
    pid: u32,
    version: String,
    slots: u64,
    busy: usize,
    /// In words; all of them when it takes any.
    queues: Option<String>,
    started_at: Moment,
    beat_at: Moment,
    claims: Vec<ClaimView>,
    plans: Vec<PlanView>,
}

/// A batch in its hands.
#[derive(Debug, Serialize)]
struct ClaimView {
    run: RunId,
    backfill: String,
    position: u64,
    /// For how long.
    held: String,
}

/// A run that it plans.
#[derive(Debug, Serialize)]
struct PlanView {
    run: RunId,
    backfill: String,
}

impl From<&WorkerInfo> for WorkerView {
    fn from(worker: &WorkerInfo) -> Self {
        let short = |text: &str| format::shortened(text, SHORT).0.into_owned();
        let held = |since: DateTime<Utc>| (worker.read_at - since).to_std().unwrap_or(Duration::ZERO);
        let queues: Vec<String> = worker.queues.iter().map(|queue| short(queue)).collect();
        Self {
            id: short(&worker.id),
            host: short(&worker.host),
            pid: worker.pid,
            version: short(&worker.version),
            slots: worker.slots,
            busy: worker.claims.len(),
            queues: Some(queues.join(", ")).filter(|queues| !queues.is_empty()),
            started_at: worker.started_at.into(),
            beat_at: worker.beat_at.into(),
            claims: worker
                .claims
                .iter()
                .map(|claim| ClaimView {
                    run: claim.run_id,
                    backfill: short(&claim.backfill),
                    position: claim.position,
                    held: format::duration(held(claim.since)),
                })
                .collect(),
            plans: worker
                .plans
                .iter()
                .map(|plan| PlanView { run: plan.run_id, backfill: short(&plan.backfill) })
                .collect(),
        }
    }
}
