//! Sums over the batches of great runs, kept in memory so that they are not read anew for every look.
//!
//! A sum holds for the batches that were committed up to some moment; a look adds those after it. A batch whose commit
//! came late, or a clock that was set back, would be missed: so a sum is used only when the number of its batches and the
//! newer ones is the number of all that are completed, which the database knows without counting them. Otherwise it is
//! dropped and everything is read.

use chrono::{DateTime, TimeDelta, Utc};

use crate::run::RunId;
use crate::store::kept::Kept;

/// Runs with fewer completed batches are read as a whole.
const GREAT: u64 = 2_000;
/// Runs that are remembered: a sum is small.
const KEPT: usize = 1_024;
/// What was committed within this time is read anew.
pub(crate) const RECENT: TimeDelta = TimeDelta::minutes(1);

/// What the batches of a run that were committed up to `until` add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) until: DateTime<Utc>,
    pub(crate) batches: u64,
    pub(crate) processed: u64,
}

/// What the database said of a run's completed batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// All of them, by what was planned and is not completed.
    pub(crate) completed: u64,
    /// Those behind the moment that was asked for, all of them without one.
    pub(crate) newer: Sums,
    /// Those of the last minute.
    pub(crate) recent: Sums,
    pub(crate) at: DateTime<Utc>,
}

/// A number of batches and their elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) batches: u64,
    pub(crate) processed: u64,
}

/// The tallies of one process.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Kept<Tally, KEPT>);

impl Tallies {
    #[cfg(test)]
    pub(crate) fn made_up(run: RunId, tally: Tally) -> Self {
        let tallies = Self::default();
        tallies.0.keep(run, tally);
        tallies
    }

    pub(crate) fn of(&self, run: RunId) -> Option<Tally> {
        self.0.get(run)
    }

    /// The elements processed in all; `None` when the tally that was asked with does not fit any more.
    pub(crate) fn processed(&self, run: RunId, tally: Option<Tally>, seen: Seen) -> Option<u64> {
        let before = tally.map_or_else(Sums::default, |Tally { batches, processed, .. }| Sums { batches, processed });
        if before.batches + seen.newer.batches != seen.completed {
            self.0.forget(run);
            return None;
        }
        let processed = before.processed + seen.newer.processed;
        self.remember(run, tally, processed, seen);
        Some(processed)
    }

    fn remember(&self, run: RunId, tally: Option<Tally>, processed: u64, seen: Seen) {
        let until = seen.at - RECENT;
        let goes_on = tally.is_none_or(|tally| until > tally.until);
        let settled = seen.completed.checked_sub(seen.recent.batches).zip(processed.checked_sub(seen.recent.processed));
        let Some((batches, processed)) = settled.filter(|(batches, _)| goes_on && *batches >= GREAT) else { return };
        self.0.keep(run, Tally { until, batches, processed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId(1);

    fn sums(batches: u64) -> Sums {
        Sums { batches, processed: batches * 10 }
    }

    fn seen(completed: u64, newer: u64, recent: u64, minute: i64) -> Seen {
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        Seen { completed, newer: sums(newer), recent: sums(recent), at }
    }

    #[test]
    fn a_tally_is_used_as_long_as_its_batches_and_the_newer_ones_are_all() {
        let tallies = Tallies::default();
        assert_eq!(tallies.processed(RUN, None, seen(5_000, 5_000, 100, 10)), Some(50_000));
        let tally = tallies.of(RUN);
        assert_eq!(tally.map(|tally| (tally.batches, tally.processed)), Some((4_900, 49_000)));
        assert_eq!(tallies.processed(RUN, tally, seen(5_300, 400, 200, 11)), Some(53_000));
        // One was committed late: behind the moment that the tally holds for, and not in it.
        let tally = tallies.of(RUN);
        assert_eq!(tallies.processed(RUN, tally, seen(5_302, 201, 201, 12)), None);
        assert_eq!(tallies.of(RUN), None);
    }

    #[test]
    fn small_runs_and_clocks_that_were_set_back_leave_the_tallies_alone() {
        let tallies = Tallies::default();
        assert_eq!(tallies.processed(RUN, None, seen(1_999, 1_999, 0, 10)), Some(19_990));
        assert_eq!(tallies.of(RUN), None);
        tallies.processed(RUN, None, seen(5_000, 5_000, 0, 10));
        let before = tallies.of(RUN);
        assert_eq!(tallies.processed(RUN, before, seen(5_000, 0, 0, 9)), Some(50_000));
        assert_eq!(tallies.of(RUN), before);
    }
}
