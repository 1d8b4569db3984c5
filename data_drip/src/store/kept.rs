//! What a process remembers of runs: of so many, and of those that it has used last.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::run::RunId;

/// Something about each of `MOST` runs at most. One more takes the place of the run that was not asked for the longest.
#[derive(Debug)]
pub(crate) struct Kept<V, const MOST: usize>(Mutex<Shelf<V>>);

#[derive(Debug)]
struct Shelf<V> {
    /// Counts the uses, so that the last ones can be told.
    uses: u64,
    runs: HashMap<RunId, (u64, V)>,
}

impl<V, const MOST: usize> Default for Kept<V, MOST> {
    fn default() -> Self {
        Self(Mutex::new(Shelf { uses: 0, runs: HashMap::new() }))
    }
}

impl<V: Clone, const MOST: usize> Kept<V, MOST> {
    fn shelf(&self) -> MutexGuard<'_, Shelf<V>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, run: RunId) -> Option<V> {
        let Shelf { uses, runs } = &mut *self.shelf();
        *uses += 1;
        let (used, value) = runs.get_mut(&run)?;
        *used = *uses;
        Some(value.clone())
    }

    pub(crate) fn keep(&self, run: RunId, value: V) {
        let Shelf { uses, runs } = &mut *self.shelf();
        if runs.len() >= MOST
            && !runs.contains_key(&run)
            && let Some(oldest) = runs.iter().min_by_key(|(_, (used, _))| *used).map(|(&run, _)| run)
        {
            runs.remove(&oldest);
        }
        *uses += 1;
        runs.insert(run, (*uses, value));
    }

    pub(crate) fn forget(&self, run: RunId) {
        self.shelf().runs.remove(&run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the first ten runs are kept, without using them.
    fn held(kept: &Kept<char, 3>) -> Vec<i64> {
        let shelf = kept.shelf();
        (0..10).filter(|&run| shelf.runs.contains_key(&RunId(run))).collect()
    }

    #[test]
    fn one_too_many_takes_the_place_of_the_one_used_longest_ago() {
        let kept = Kept::<char, 3>::default();
        for run in [1, 2, 3] {
            kept.keep(RunId(run), 'a');
        }
        assert_eq!(kept.get(RunId(1)), Some('a'));
        kept.keep(RunId(2), 'b');
        kept.keep(RunId(4), 'a');
        assert_eq!(held(&kept), [1, 2, 4]);
        kept.keep(RunId(0), 'a');
        assert_eq!(held(&kept), [0, 2, 4]);
        assert_eq!(kept.get(RunId(2)), Some('b'), "the last that was kept of it");
    }

    #[test]
    fn what_is_kept_again_costs_nobody_a_place() {
        let kept = Kept::<char, 3>::default();
        for run in [1, 2, 3, 3, 3] {
            kept.keep(RunId(run), 'a');
        }
        assert_eq!(held(&kept), [1, 2, 3]);
        kept.forget(RunId(2));
        kept.forget(RunId(9));
        assert_eq!(held(&kept), [1, 3]);
    }
}
