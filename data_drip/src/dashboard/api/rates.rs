//! How fast a run is, as its page draws it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::view::millis;
use crate::api::{BatchDuration, Slice, Throughput};
use crate::dashboard::forecast;
use crate::run::Run;

#[derive(Debug, Serialize)]
pub(super) struct ThroughputView {
    /// How long a slice of the run's time is; nothing before the run has begun.
    width_ms: Option<u64>,
    /// Those in which something was committed.
    slices: Vec<SliceView>,
    remaining: Option<RemainingView>,
    read_at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct SliceView {
    begins_at: Option<DateTime<Utc>>,
    processed: u64,
    batches: u64,
}

/// From the faster and the slower of the recent slices.
#[derive(Debug, Serialize)]
struct RemainingView {
    least_ms: u64,
    most_ms: u64,
}

impl ThroughputView {
    pub(super) fn new(run: &Run, measured: Option<&Throughput>) -> Self {
        let remaining = forecast::remaining(run, measured);
        let slices = measured.iter().flat_map(|measured| {
            measured.busy.iter().map(|slice| SliceView {
                begins_at: run.started_at.and_then(|from| begin(from, measured, slice)),
                processed: slice.processed,
                batches: slice.batches,
            })
        });
        Self {
            width_ms: measured.map(|measured| millis(measured.width)),
            slices: slices.collect(),
            remaining: remaining.map(|(least, most)| RemainingView { least_ms: millis(least), most_ms: millis(most) }),
            read_at: run.read_at,
        }
    }
}

fn begin(from: DateTime<Utc>, measured: &Throughput, slice: &Slice) -> Option<DateTime<Utc>> {
    let ms = millis(measured.width).checked_mul(slice.index)?;
    from.checked_add_signed(TimeDelta::try_milliseconds(i64::try_from(ms).ok()?)?)
}

/// How long a batch took, from claim to commit.
#[derive(Debug, Serialize)]
pub(super) struct DurationView {
    position: u64,
    took_ms: u64,
    processed: u64,
}

impl From<&BatchDuration> for DurationView {
    fn from(batch: &BatchDuration) -> Self {
        Self { position: batch.position, took_ms: millis(batch.took), processed: batch.processed }
    }
}
