//! A batch and its error.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{ErrorView, SHORT};
use crate::dashboard::format::{self, Moment};
use crate::key::KeyRange;
use crate::run::RunBatch;

#[derive(Debug, Serialize)]
pub(in crate::dashboard) struct BatchView {
    position: u64,
    keys: String,
    status: &'static str,
    planned_size: String,
    processed: Option<String>,
    attempts: u32,
    losses: u32,
    worker: Option<String>,
    /// The end of its name: the beginning is the time it started at.
    worker_short: Option<String>,
    due_at: Option<Moment>,
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
    took: Option<String>,
    error: Option<ErrorView>,
}

/// As people write a range that begins behind a key.
fn keys(range: &KeyRange) -> String {
    match &range.after {
        Some(after) => format!("{after} < … ≤ {}", range.upto),
        None => format!("… ≤ {}", range.upto),
    }
}

fn ending(id: &str) -> String {
    let from = id.char_indices().rev().nth(7).map_or(0, |(at, _)| at);
    id[from..].to_owned()
}

/// From claim to commit.
pub(in crate::dashboard) fn took(batch: &RunBatch) -> Option<Duration> {
    batch.started_at.zip(batch.finished_at).and_then(|(from, to)| (to - from).to_std().ok())
}

impl BatchView {
    /// `error_limit` is how many characters of its error are sent; `None` for all.
    pub(in crate::dashboard) fn new(batch: &RunBatch, error_limit: Option<usize>) -> Self {
        let keys = keys(&batch.range);
        Self {
            position: batch.position,
            keys: match error_limit {
                Some(_) => format::shortened(&keys, SHORT).0.into_owned(),
                None => format::visible(&keys).into_owned(),
            },
            status: batch.status.as_str(),
            planned_size: format::number(batch.planned_size),
            processed: batch.processed.map(format::number),
            attempts: batch.attempts,
            losses: batch.losses,
            worker: batch.worker.clone(),
            worker_short: batch.worker.as_deref().map(ending),
            due_at: batch.due_at.map(Moment::from),
            started_at: batch.started_at.map(Moment::from),
            finished_at: batch.finished_at.map(Moment::from),
            took: took(batch).map(format::duration),
            error: batch.error.as_deref().map(|error| ErrorView::new(error, error_limit)),
        }
    }
}

impl BatchView {
    /// A batch in a worker's hands: how long it has been there.
    pub(in crate::dashboard) fn running(batch: &RunBatch, now: DateTime<Utc>) -> Self {
        let took = batch.started_at.and_then(|from| (now - from).to_std().ok());
        Self { took: took.map(format::duration), ..Self::new(batch, Some(0)) }
    }
}
