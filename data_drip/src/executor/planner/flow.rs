//! How fast a run's batches are claimed, by whichever process. The claims of this one are counted as they happen; what the others
//! claim shows between one look at the database and the next.

use std::time::{Duration, Instant};

/// Between two looks at least.
const SHORTEST: Duration = Duration::from_millis(20);
/// Between two calls at least, once planning is well ahead: where it is slower than the slots, each batch would wake all that are
/// idle in the fleet.
const BETWEEN_CALLS: Duration = Duration::from_secs(1);
/// Fewer batches than this may be gone before the next ones are there.
const FEW: usize = 64;

/// What the looks have shown so far.
#[derive(Default)]
pub(super) struct Flow {
    /// When the last look was, and how many batches waited.
    seen: Option<(Instant, usize)>,
    /// How long until the next look it said.
    pause: Duration,
    called: Option<Instant>,
}

impl Flow {
    /// Takes note of how many batches wait; when to look again for so many `claims` more to have happened. Half the time that it
    /// takes at the pace since the last look, which others may quicken; or soon, and less and less soon as long as no claim is
    /// seen.
    pub(super) fn look(&mut self, now: Instant, waiting: usize, claims: u64) -> Duration {
        let pace = self.seen.and_then(|(since, before)| {
            let claimed = u32::try_from(before.saturating_sub(waiting)).ok()?;
            now.saturating_duration_since(since).checked_div(claimed)
        });
        self.seen = Some((now, waiting));
        let pause = pace.map(|each| each.saturating_mul(u32::try_from(claims).unwrap_or(u32::MAX)) / 2);
        self.pause = pause.unwrap_or(self.pause.saturating_mul(2)).max(SHORTEST);
        self.pause
    }

    /// Takes note that batches were planned: slots may have had nothing to do before, and the pace is another one from now on.
    pub(super) fn planned(&mut self) {
        (self.seen, self.pause) = (None, Duration::ZERO);
    }

    /// Whether other processes are to be told of batches that come beside those that `waiting` says: where slots of theirs may be
    /// idle, as they would look for themselves only later. By the time that the batches are written the slots may have taken what
    /// waited; `well_ahead` of them, only a few.
    pub(super) fn calls(&mut self, now: Instant, waiting: usize, well_ahead: bool) -> bool {
        let lately = self.called.is_some_and(|called| now.saturating_duration_since(called) < BETWEEN_CALLS);
        let calls = !well_ahead || (waiting < FEW && !lately);
        if calls {
            self.called = Some(now);
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_next_look_comes_before_enough_are_claimed_at_the_pace_of_late() {
        let (mut flow, now) = (Flow::default(), Instant::now());
        flow.look(now, 100, 10);
        assert_eq!(flow.look(now + SECOND, 80, 10), SECOND / 4);
        flow.planned();
        assert_eq!(flow.look(now + 2 * SECOND, 60, 200), SHORTEST, "what was claimed before says nothing");
        assert_eq!(flow.look(now + 3 * SECOND, 50, 200), 10 * SECOND);
    }

    #[test]
    fn where_nothing_is_claimed_the_looks_become_rare() {
        let (mut flow, now) = (Flow::default(), Instant::now());
        assert_eq!(flow.look(now, 3, 1), SHORTEST);
        assert_eq!(flow.look(now + SECOND, 3, 1), 2 * SHORTEST);
        assert_eq!(flow.look(now + 2 * SECOND, 4, 1), 4 * SHORTEST, "a failed one comes back");
        for _ in 0..100 {
            flow.look(now, 4, 1);
        }
        flow.planned();
        assert_eq!(flow.look(now + 3 * SECOND, 5, 1), SHORTEST, "there is something new to claim");
    }

    #[test]
    fn however_fast_they_are_claimed_a_look_is_not_followed_by_the_next_at_once() {
        let (mut flow, now) = (Flow::default(), Instant::now());
        flow.look(now, 1_000_000, 1);
        assert_eq!(flow.look(now + Duration::from_micros(1), 0, 1), SHORTEST);
        flow.look(now, 10, 1);
        assert_eq!(flow.look(now, 0, u64::MAX), SHORTEST, "a clock that stands still");
    }

    #[test]
    fn others_are_called_while_slots_may_be_idle_and_seldom_where_planning_is_the_slower_part() {
        let (mut flow, now) = (Flow::default(), Instant::now());
        assert!(flow.calls(now, 0, false));
        assert!(flow.calls(now, 2, false), "there are more slots with each step");
        assert!(!flow.calls(now, 0, true));
        assert!(flow.calls(now + SECOND, FEW - 1, true));
        assert!(!flow.calls(now + SECOND, 0, true));
        assert!(!flow.calls(now + 3 * SECOND, FEW, true), "there is enough for everybody who looks");
    }
}
