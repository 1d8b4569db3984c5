//! Runs that this process leaves to others: what is pinned or stored of them is not what its code says.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::run::{RunId, WorkerInfo};

/// How long a run is left to others, before it is looked what has become of it.
const PAUSE: Duration = Duration::from_secs(30);
/// How long it is left to them when nothing becomes of it: they may not know its backfill, or say the same of it.
const LONGEST: Duration = Duration::from_mins(10);

#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<RunId, Refusal>>);

struct Refusal {
    /// Since when nothing has become of it.
    since: Instant,
    until: Instant,
    /// Batches that had ended then.
    ended: u64,
}

impl Refusals {
    /// The runs that are left to others at the moment.
    pub(super) fn now(&self) -> Vec<RunId> {
        let now = Instant::now();
        self.locked().iter().filter(|(_, refusal)| refusal.until > now).map(|(&run, _)| run).collect()
    }

    /// Leaves a run to others for a while, of which so many batches have ended; `false` when that was in vain for long.
    pub(super) fn put_off(&self, run: RunId, ended: u64) -> bool {
        let now = Instant::now();
        let fresh = || Refusal { since: now, until: now, ended };
        let mut refusals = self.locked();
        let refusal = refusals.entry(run).or_insert_with(fresh);
        if refusal.ended != ended {
            *refusal = fresh();
        }
        if now.duration_since(refusal.since) >= LONGEST {
            return false;
        }
        refusal.until = now + PAUSE;
        true
    }

    /// Leaves a run alone for a while of which nothing is known.
    pub(super) fn pause(&self, run: RunId) {
        let now = Instant::now();
        let fresh = || Refusal { since: now, until: now, ended: 0 };
        self.locked().entry(run).or_insert_with(fresh).until = now + PAUSE;
    }

    pub(super) fn forget(&self, run: RunId) {
        self.locked().remove(&run);
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<RunId, Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this worker lives, and takes every run that the other takes.
pub(super) fn takes_over(worker: &WorkerInfo, from: &WorkerInfo) -> bool {
    let takes_all = worker.queues.is_empty();
    let takes_its = !from.queues.is_empty() && from.queues.iter().all(|queue| worker.queues.contains(queue));
    worker.alive && worker.id != from.id && (takes_all || takes_its)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_left_to_others_for_as_long_as_something_becomes_of_it() {
        let refusals = Refusals::default();
        let run = RunId(1);
        assert!(refusals.put_off(run, 3) && refusals.put_off(run, 3));
        assert_eq!(refusals.now(), [run]);
        let long_ago = |refusals: &Refusals| {
            let mut kept = refusals.locked();
            let refusal = kept.get_mut(&run).unwrap();
            refusal.since = refusal.since.checked_sub(LONGEST).unwrap();
            refusal.until = refusal.since;
        };
        long_ago(&refusals);
        assert!(refusals.now().is_empty(), "it is looked again");
        assert!(refusals.put_off(run, 4), "somebody works on it");
        long_ago(&refusals);
        assert!(!refusals.put_off(run, 4), "nobody does");
        refusals.forget(run);
        assert!(refusals.put_off(run, 4));
    }
}
