//! The slices of great runs' time that are over, kept in memory: a chart is drawn again every second.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::run::Run;
use crate::store::kept::Kept;
use crate::store::overview::Slice;

/// Runs with fewer completed batches are read as a whole.
const GREAT: u64 = 2_000;
/// Runs that are remembered.
const KEPT: usize = 64;
/// A slice is over when it lies so far back: a commit that took that long is found missing by its count.
const OVER: Duration = Duration::from_mins(1);

/// The slices before `upto` of a run's time, in slices of `width` since `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chart {
    from: DateTime<Utc>,
    width: Duration,
    pub(crate) upto: u64,
    pub(crate) slices: Vec<Slice>,
}

impl Chart {
    /// Nothing yet.
    pub(crate) fn empty(from: DateTime<Utc>, width: Duration) -> Self {
        Self { from, width, upto: 0, slices: Vec::new() }
    }

    /// When the first slice begins that is not in it.
    pub(crate) fn end(&self) -> DateTime<Utc> {
        let offset = self.width.saturating_mul(u32::try_from(self.upto).unwrap_or(u32::MAX));
        chrono::TimeDelta::from_std(offset)
            .ok()
            .and_then(|offset| self.from.checked_add_signed(offset))
            .unwrap_or(self.from)
    }
}

/// The charts of one process.
#[derive(Debug, Default)]
pub(crate) struct Charts(Kept<Chart, KEPT>);

impl Charts {
    /// What is known of a run's chart of this scale.
    pub(crate) fn of(&self, run: &Run, from: DateTime<Utc>, width: Duration) -> Chart {
        let known = self.0.get(run.id).filter(|chart| chart.from == from && chart.width == width);
        known.unwrap_or_else(|| Chart::empty(from, width))
    }

    /// Keeps the slices that are over of the `slices` that the run's time has.
    pub(crate) fn keep(&self, run: &Run, from: DateTime<Utc>, width: Duration, slices: u64, busy: &[Slice]) {
        if run.counts.completed < GREAT {
            return;
        }
        let open = if run.status.is_settled() { 0 } else { OVER.as_millis().div_ceil(width.as_millis().max(1)) };
        let upto = slices.saturating_sub(u64::try_from(open).unwrap_or(u64::MAX).saturating_add(1));
        let over = busy.iter().filter(|slice| slice.index < upto).copied().collect();
        self.0.keep(run.id, Chart { from, width, upto, slices: over });
    }
}
