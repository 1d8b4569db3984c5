//! The states of runs and batches, and the one table of the arrows between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! statuses {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            /// Every status, in the order a run or batch usually passes them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word stored in the database and shown in the dashboard.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownStatus;

            fn from_str(text: &str) -> Result<Self, UnknownStatus> {
                Self::ALL.iter().copied().find(|s| s.as_str() == text).ok_or_else(|| UnknownStatus(text.to_owned()))
            }
        }
    };
}

/// A word that is no status.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a status")]
pub struct UnknownStatus(String);

statuses! {
    /// Where a run stands.
    RunStatus {
        /// Waits for its start time.
        Pending = "pending",
        /// Is due; no worker has it yet.
        Enqueued = "enqueued",
        /// Is being planned or processed.
        Running = "running",
        /// Keeps its place, starts nothing new.
        Paused = "paused",
        /// Everything planned, every batch completed.
        Completed = "completed",
        /// Settled with at least one failed batch, or planning failed.
        Failed = "failed",
        /// A person stopped it; it can be resumed.
        Stopped = "stopped",
    }
}

statuses! {
    /// Where a batch stands.
    BatchStatus {
        /// Is planned, waits for a worker or for its retry time.
        Pending = "pending",
        /// Is in a worker's hands.
        Running = "running",
        /// Committed.
        Completed = "completed",
        /// Gave up; the error is kept.
        Failed = "failed",
        /// Was not started, or was rolled back, when its run stopped.
        Stopped = "stopped",
    }
}

/// One allowed change of status and why it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition<S: 'static> {
    /// The status before.
    pub from: S,
    /// The status after.
    pub to: S,
    /// When and why, in a sentence.
    pub because: &'static str,
}

const fn arrow<S: Copy>(from: S, to: S, because: &'static str) -> Transition<S> {
    Transition { from, to, because }
}

use RunStatus as R;

/// Every change of status that a run can make. Who asks for another one is refused.
pub const RUN_TRANSITIONS: &[Transition<RunStatus>] = &[
    arrow(R::Pending, R::Enqueued, "Its start time has come."),
    arrow(R::Pending, R::Paused, "A person paused it before its start time."),
    arrow(R::Pending, R::Stopped, "A person stopped it before its start time."),
    arrow(R::Enqueued, R::Running, "A worker took it and begins to plan."),
    arrow(R::Enqueued, R::Paused, "A person paused it before a worker took it."),
    arrow(R::Enqueued, R::Stopped, "A person stopped it before a worker took it."),
    arrow(R::Running, R::Paused, "A person paused it; batches in flight finish."),
    arrow(R::Running, R::Stopped, "A person stopped it; batches in flight finish, or roll back when stopped now."),
    arrow(R::Running, R::Completed, "Planning has ended and every batch is completed."),
    arrow(R::Running, R::Failed, "Planning failed, or it ended and no batch is open but at least one failed."),
    arrow(R::Paused, R::Pending, "A person resumed it and its start time is still to come."),
    arrow(R::Paused, R::Enqueued, "A person resumed it."),
    arrow(R::Paused, R::Stopped, "A person stopped it while it was paused."),
    arrow(R::Stopped, R::Pending, "A person resumed it and its start time is still to come."),
    arrow(R::Stopped, R::Enqueued, "A person resumed it; stopped batches wait for a worker again."),
    arrow(R::Failed, R::Enqueued, "A person asked for its failed batches to be tried again."),
];

use BatchStatus as B;

/// Every change of status that a batch can make. Each is written as a change from that status: where the batch has another
/// one by then, nothing happens.
pub const BATCH_TRANSITIONS: &[Transition<BatchStatus>] = &[
    arrow(B::Pending, B::Running, "A worker claimed it."),
    arrow(B::Pending, B::Stopped, "Its run was stopped before a worker claimed it."),
    arrow(B::Running, B::Completed, "The user's writes and its counts committed in one transaction."),
    arrow(B::Running, B::Failed, "It used up its attempts or its losses; the error is kept."),
    arrow(
        B::Running,
        B::Pending,
        "It will be tried again: an attempt is left, its worker died or shut down, or it paused.",
    ),
    arrow(B::Running, B::Stopped, "Its run was stopped and its transaction rolled back."),
    arrow(B::Failed, B::Pending, "A person asked for it to be tried again."),
    arrow(B::Stopped, B::Pending, "Its run was resumed."),
];

impl RunStatus {
    /// Whether the table has an arrow from `self` to `to`.
    pub fn may_become(self, to: Self) -> bool {
        RUN_TRANSITIONS.iter().any(|t| t.from == self && t.to == to)
    }

    /// Whether nothing more happens unless a person asks: completed, failed or stopped.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Stopped)
    }
}

impl BatchStatus {
    /// Whether the table has an arrow from `self` to `to`.
    pub fn may_become(self, to: Self) -> bool {
        BATCH_TRANSITIONS.iter().any(|t| t.from == self && t.to == to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix by hand, rows are `from`: a change of the table has to be made twice, on purpose.
    #[test]
    fn run_matrix_is_exactly_this() {
        let matrix = [
            // pend enq run pau com fai sto
            "-  x  -  x  -  -  x", // pending
            "-  -  x  x  -  -  x", // enqueued
            "-  -  -  x  x  x  x", // running
            "x  x  -  -  -  -  x", // paused
            "-  -  -  -  -  -  -", // completed
            "-  x  -  -  -  -  -", // failed
            "x  x  -  -  -  -  -", // stopped
        ];
        check(RunStatus::ALL, &matrix, RunStatus::may_become);
    }

    #[test]
    fn batch_matrix_is_exactly_this() {
        let matrix = [
            // pend run com fai sto
            "-  x  -  -  x", // pending
            "x  -  x  x  x", // running
            "-  -  -  -  -", // completed
            "x  -  -  -  -", // failed
            "x  -  -  -  -", // stopped
        ];
        check(BatchStatus::ALL, &matrix, BatchStatus::may_become);
    }

    fn check<S: Copy + fmt::Display>(all: &[S], matrix: &[&str], may_become: impl Fn(S, S) -> bool) {
        assert_eq!(all.len(), matrix.len());
        for (from, row) in all.iter().zip(matrix) {
            let cells: Vec<_> = row.split_whitespace().collect();
            assert_eq!(all.len(), cells.len());
            for (to, cell) in all.iter().zip(cells) {
                assert_eq!(may_become(*from, *to), cell == "x", "{from} -> {to}");
            }
        }
    }

    #[test]
    fn every_arrow_has_one_sentence_and_occurs_once() {
        for (i, t) in RUN_TRANSITIONS.iter().enumerate() {
            assert!(t.because.ends_with('.'), "{t:?}");
            assert!(!RUN_TRANSITIONS[..i].iter().any(|o| (o.from, o.to) == (t.from, t.to)), "{t:?} twice");
        }
        for (i, t) in BATCH_TRANSITIONS.iter().enumerate() {
            assert!(t.because.ends_with('.'), "{t:?}");
            assert!(!BATCH_TRANSITIONS[..i].iter().any(|o| (o.from, o.to) == (t.from, t.to)), "{t:?} twice");
        }
    }

    #[test]
    fn words_round_trip_and_strangers_are_refused() {
        for status in RunStatus::ALL {
            assert_eq!(status.as_str().parse::<RunStatus>().unwrap(), *status);
        }
        for status in BatchStatus::ALL {
            assert_eq!(status.as_str().parse::<BatchStatus>().unwrap(), *status);
        }
        assert_eq!("gone".parse::<RunStatus>().unwrap_err().to_string(), "`gone` is not a status");
    }
}
