//! When something is tried again.

use std::time::Duration;

/// Attempts that may fail for a passing reason before the batch is given up.
pub(super) const MOST_TRANSIENTS: u32 = 15;

/// Processes that may die while they run a batch alone before it is given up.
pub(super) const MOST_LONE_LOSSES: i64 = 3;

/// Processes that may die while they prepare a run (`before_run`, `scope`) before it is given up.
pub(super) const MOST_PLANNER_LOSSES: u32 = 5;

/// Pause before the next attempt after `failed` failures of user code: 1 s, doubling, at most a minute.
pub(super) fn after_attempt(failed: u32) -> Duration {
    backoff(Duration::from_secs(1), failed, Duration::from_mins(1))
}

/// Pause after `failed` failures of a passing kind: 50 ms, doubling, at most 10 s.
pub(super) fn after_transient(failed: u32) -> Duration {
    backoff(Duration::from_millis(50), failed, Duration::from_secs(10))
}

fn backoff(first: Duration, failed: u32, most: Duration) -> Duration {
    let doubled = first.saturating_mul(1 << failed.saturating_sub(1).min(16));
    jittered(doubled.min(most))
}

/// Between three quarters of `pause` and all of it, so that processes which failed together do not return together.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_bytes()[0];
    pause.mul_f64(0.75 + 0.25 * f64::from(random) / f64::from(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_bound_and_never_overflow() {
        for failed in [0, 1, 2, 3, 10, u32::MAX] {
            let pause = after_attempt(failed);
            assert!(pause >= Duration::from_millis(750) && pause <= Duration::from_mins(1), "{failed}: {pause:?}");
        }
        assert!(after_transient(1) <= Duration::from_millis(50));
        assert!(after_transient(9) >= Duration::from_millis(7_500));
    }
}
