//! Reading at large: what the dashboard shows beside runs and batches.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::api::DataDrip;
use crate::backend::Backend;
use crate::error::Error;
use crate::registry::scope_of;
use crate::run::{Backfiller, Run, RunId};
#[cfg(feature = "dashboard")]
use crate::store::marks::{self, Marks};
use crate::store::overview::{self, FailedBatch};
pub use crate::store::overview::{BackfillSummary, BatchDuration, Slice};
use crate::store::runs::{self, StatusCounts};

/// Failed batches that are looked at to group their errors, and how much of each error.
const FAILURES_READ: u32 = 1_000;
const ERROR_READ: u32 = 400;
/// Slices of a run's time, at most.
const SLICES: u32 = 60;

/// What a run committed over time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Throughput {
    /// How long a slice is.
    pub width: Duration,
    /// How many slices the run's time has so far; the last one is not over while the run goes on.
    pub slices: u64,
    /// The slices in which something was committed.
    pub busy: Vec<Slice>,
}

/// Failed batches whose errors say the same but for numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureGroup {
    /// The first line of the first of these errors.
    pub message: String,
    /// How many batches failed so.
    pub batches: u64,
    /// Where the first of them stands.
    pub first: u64,
}

/// The failures of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failures {
    /// The greatest group first.
    pub groups: Vec<FailureGroup>,
    /// Whether every failed batch was looked at: only so many are.
    pub complete: bool,
}

impl<DB: Backend> DataDrip<DB> {
    /// How many runs there are in each status; of the settled ones, those that were settled within `lately`.
    ///
    /// # Errors
    /// [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn status_counts(&self, lately: Duration) -> Result<StatusCounts, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(runs::counts::<DB>(&mut conn, lately).await?)
    }

    /// Every backfill that has runs, with their number and the last one; with and without code, by name.
    ///
    /// # Errors
    /// [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn backfill_summaries(&self) -> Result<Vec<BackfillSummary>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(overview::summaries::<DB>(&mut conn).await?)
    }

    /// The backfills that a person has started, by the host's id, the latest first.
    ///
    /// # Errors
    /// [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn recent_backfills(&self, person: &str, limit: u32) -> Result<Vec<String>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(overview::recent::<DB>(&mut conn, person, limit).await?)
    }

    /// Who has started runs, the latest first.
    ///
    /// # Errors
    /// [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn backfillers(&self, limit: u32) -> Result<Vec<Backfiller>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(overview::backfillers::<DB>(&mut conn, limit).await?)
    }

    /// What a run committed over time; `None` when it has not begun.
    ///
    /// # Errors
    /// [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn throughput(&self, run: &Run) -> Result<Option<Throughput>, Error> {
        let Some(from) = run.started_at else { return Ok(None) };
        let until = run.finished_at.unwrap_or(run.read_at).max(from);
        let span = (until - from).to_std().unwrap_or_default();
        let width = slice_width(span);
        let slices = u64::try_from(span.as_millis() / width.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let mut busy = self.slices(run, from, width).await?;
        self.core.charts.keep(run, from, width, slices, &busy);
        // What was committed since the run was read is the next reader's.
        busy.retain(|slice| slice.index < slices);
        Ok(Some(Throughput { width, slices, busy }))
    }

    /// The slices in which something was committed: those that are known, and the newer ones.
    async fn slices(&self, run: &Run, from: DateTime<Utc>, width: Duration) -> Result<Vec<Slice>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        let known = self.core.charts.of(run, from, width);
        if known.upto > 0 {
            let newer = overview::throughput::<DB>(&mut conn, run.id, from, width, known.end()).await?;
            let slices: Vec<_> = known.slices.into_iter().chain(newer).collect();
            // The run was read before: fewer than its batches cannot be all.
            if slices.iter().map(|slice| slice.batches).sum::<u64>() >= run.counts.completed {
                return Ok(slices);
            }
        }
        Ok(overview::throughput::<DB>(&mut conn, run.id, from, width, from).await?)
    }

    /// How long the batches took that were committed last, the latest first.
    ///
    /// # Errors
    /// [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn batch_durations(&self, id: RunId, limit: u32) -> Result<Vec<BatchDuration>, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(overview::durations::<DB>(&mut conn, id, limit).await?)
    }

    /// The errors of a run's failed batches, those that say the same together.
    ///
    /// # Errors
    /// [`ErrorKind::Database`](crate::ErrorKind::Database).
    pub async fn failures(&self, id: RunId) -> Result<Failures, Error> {
        let mut conn = self.core.pool.acquire().await?;
        let failed = overview::failures::<DB>(&mut conn, id, ERROR_READ, FAILURES_READ + 1).await?;
        let most = FAILURES_READ as usize;
        Ok(Failures { complete: failed.len() <= most, groups: grouped(&failed[..failed.len().min(most)]) })
    }

    /// What tells whether any of these runs has changed, or which runs there are, or who works.
    #[cfg(feature = "dashboard")]
    pub(crate) async fn marks(&self, runs: &[RunId]) -> Result<Marks, Error> {
        let mut conn = self.core.pool.acquire().await?;
        Ok(marks::marks::<DB>(&mut conn, runs).await?)
    }

    /// The table of a backfill as its code names it, where its options have defaults: a scope depends on them.
    pub fn table_of(&self, name: &str) -> Option<String> {
        let instance = self.core.definition(name).ok()?.parse(&HashMap::new()).ok()?;
        Some(scope_of(&*instance).ok()?.table.to_string())
    }
}

/// Whole seconds, so that a chart's bars are not renamed with every look; few enough to be seen.
fn slice_width(span: Duration) -> Duration {
    let seconds = span.as_secs().div_ceil(u64::from(SLICES) - 1).max(1);
    // 1, 2, 5, 10, …: a running run's chart changes its scale seldom.
    let nice = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400];
    Duration::from_secs(nice.into_iter().find(|&nice| nice >= seconds).unwrap_or(seconds))
}

fn grouped(failed: &[FailedBatch]) -> Vec<FailureGroup> {
    let mut groups: Vec<FailureGroup> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for FailedBatch { position, error } in failed {
        let line = error.lines().find(|line| !line.trim().is_empty()).unwrap_or("(no message)");
        let alike = without_numbers(line);
        if let Some(&place) = places.get(&alike) {
            groups[place].batches += 1;
        } else {
            places.insert(alike, groups.len());
            groups.push(FailureGroup { message: line.to_owned(), batches: 1, first: *position });
        }
    }
    groups.sort_by_key(|group| (std::cmp::Reverse(group.batches), group.first));
    groups
}

/// Errors of different rows differ in their numbers.
fn without_numbers(text: &str) -> String {
    let mut alike = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_numeric() && alike.ends_with('#') => {}
            c if c.is_numeric() => alike.push('#'),
            c => alike.push(c),
        }
    }
    alike
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_few_slices_whatever_the_span() {
        for seconds in [0, 1, 59, 60, 3_600, 86_400, 10_000_000] {
            let span = Duration::from_secs(seconds);
            let slices = span.as_secs() / slice_width(span).as_secs() + 1;
            assert!(slices <= u64::from(SLICES), "{seconds} s: {slices}");
        }
        assert_eq!(slice_width(Duration::from_mins(10)), Duration::from_secs(15));
    }

    #[test]
    fn errors_that_differ_in_numbers_are_one_group_the_greatest_first() {
        let failed = |position, error: &str| FailedBatch { position, error: error.to_owned() };
        let groups = grouped(&[
            failed(1, "disk full"),
            failed(2, "row 7017: no zone\ncaused by: x"),
            failed(5, "row 12: no zone\ncaused by: y"),
            failed(9, ""),
        ]);
        let seen: Vec<_> = groups.iter().map(|group| (group.message.as_str(), group.batches, group.first)).collect();
        assert_eq!(seen, [("row 7017: no zone", 2, 2), ("disk full", 1, 1), ("(no message)", 1, 9)]);
    }
}
