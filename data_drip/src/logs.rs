//! What user code says through [`tracing`] while it works on a batch: kept with the batch, also when it fails.
//!
//! The host adds one layer to its subscriber:
//!
//! ```
//! # #[cfg(feature = "logs")] {
//! use tracing_subscriber::prelude::*;
//!
//! let subscriber = tracing_subscriber::registry() // and the host's own layers
//!     .with(data_drip::logs::layer());
//! # drop(subscriber);
//! # }
//! ```
//!
//! Events of level `INFO` and above that code emits inside `process_batch` or `process_element` are then kept with level,
//! time, message and fields; [`layer_at`] chooses another level. They are written after the batch has ended, in a
//! transaction of their own, so they are there as well when the batch rolled back. Whatever the host's other layers print
//! or filter changes nothing, except a filter for the whole subscriber: an event that it disables reaches nobody.
//!
//! Tasks that user code spawns are heard while they are inside a span that was opened in the batch
//! (`tokio::spawn(work.in_current_span())`), threads likewise.
//!
//! # Bounds
//! The first and the last hundred lines of a batch are kept, and ten thousand of a run (twenty thousand with warnings and
//! errors); what is dropped is counted. Long messages and values are cut. Values of masked options are replaced by `•••`.
//! A process that is killed loses what its batches in flight have said.

mod capture;
#[cfg(feature = "logs")]
mod layer;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use self::capture::{Capture, Said};
#[cfg(feature = "logs")]
pub use self::layer::{layer, layer_at};
use crate::run::{BatchId, RunId};

/// How bad or how detailed a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed.
    Error = 1,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// For whoever looks for a mistake.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    pub(crate) fn number(self) -> i64 {
        self as i64
    }

    pub(crate) fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.number() == number)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a level is `error`, `warn`, `info`, `debug` or `trace`")]
pub struct NoLevel;

impl FromStr for LogLevel {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Self, NoLevel> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(NoLevel)
    }
}

/// Names a line, over all runs; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub i64);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LogId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One line that user code said.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogLine {
    /// Its number.
    pub id: LogId,
    /// The run.
    pub run_id: RunId,
    /// The batch.
    pub batch_id: BatchId,
    /// The batch's place in the run.
    pub position: u64,
    /// Which claim of the batch: greater with each attempt.
    pub claim: i64,
    /// When, by the clock of the worker's machine.
    pub at: DateTime<Utc>,
    /// How bad or how detailed.
    pub level: LogLevel,
    /// Where it comes from: the module, unless the event says otherwise.
    pub target: String,
    /// What it says.
    pub message: String,
    /// The event's fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Not zero for a line that stands in place of so many lines that were not kept.
    pub dropped: u64,
}

/// How much of what a run's code said was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogTotals {
    /// Lines kept.
    pub kept: u64,
    /// Lines dropped because there were too many.
    pub dropped: u64,
}
