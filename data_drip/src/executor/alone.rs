//! Who has to be alone in this process: a batch, or a run to be prepared, that another process died of. The next death must
//! tell whether that was its doing.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::executor::schedule;

/// How long the end of what is in flight is waited for, the first time.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often that doubles at most: to some four minutes.
const DOUBLINGS: u32 = 7;
/// How many times as long others have the process to themselves before it is tried again.
const PAUSE: u32 = 4;

/// Held shared by each batch and each run that is prepared, alone by a suspect.
///
/// User code may take any time, and whoever waits for it keeps all others from beginning. So it is waited for within bounds, and
/// nothing is claimed meanwhile that another process could work on.
#[derive(Default)]
pub(super) struct Alone {
    lock: RwLock<()>,
    wanted: AtomicUsize,
    /// How many had their turn.
    turns: AtomicUsize,
    /// How often it was waited for in vain since the last of them.
    in_vain: AtomicU32,
}

/// Alone, until it is dropped.
pub(super) struct Turn<'a> {
    _lock: RwLockWriteGuard<'a, ()>,
    _wanted: Wanted<'a>,
}

struct Wanted<'a>(&'a AtomicUsize);

impl<'a> Wanted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Alone {
    /// Beside others, with no suspect among them.
    pub(super) async fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().await
    }

    /// Whether a suspect is alone, or waits for it: what is claimed now would have to wait.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// Waits until nothing else is in flight. When that takes too long: after how long to try again.
    pub(super) async fn take(&self) -> Result<Turn<'_>, Duration> {
        let wanted = Wanted::new(&self.wanted);
        let (turns, in_vain) = (self.turns.load(Ordering::Relaxed), self.in_vain.load(Ordering::Relaxed));
        let patience = PATIENCE * (1 << in_vain.min(DOUBLINGS));
        if let Ok(lock) = tokio::time::timeout(patience, self.lock.write()).await {
            self.in_vain.store(0, Ordering::Relaxed);
            self.turns.fetch_add(1, Ordering::Relaxed);
            return Ok(Turn { _lock: lock, _wanted: wanted });
        }
        if self.turns.load(Ordering::Relaxed) != turns {
            // There are several, and one after the other has its turn.
            return Err(schedule::jittered(patience));
        }
        // Whoever else waited in vain at the same time has not found out more.
        let _ = self.in_vain.compare_exchange(in_vain, in_vain + 1, Ordering::Relaxed, Ordering::Relaxed);
        Err(schedule::jittered(patience * PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_to_be_alone_lets_the_others_go_on_and_waits_for_longer_the_next_time() {
        let alone = Alone::default();
        let long = alone.shared().await;
        let first = alone.take().await.err().unwrap();
        assert!(!alone.is_wanted());
        drop(alone.shared().await);
        let second = alone.take().await.err().unwrap();
        assert!(second > first, "{first:?}, then {second:?}");
        for _ in 0..40 {
            assert!(alone.take().await.err().unwrap() < Duration::from_mins(30));
        }
        drop(long);
        let turn = alone.take().await.ok().unwrap();
        assert!(alone.is_wanted());
        assert!(tokio::time::timeout(first, alone.shared()).await.is_err(), "nobody is beside it");
        drop(turn);
        assert!(!alone.is_wanted());
        drop(alone.shared().await);
    }

    #[tokio::test(start_paused = true)]
    async fn several_who_have_to_be_alone_have_their_turns_and_do_not_wait_for_longer_because_of_each_other() {
        let alone = Alone::default();
        let long = alone.shared().await;
        let in_vain = tokio::join!(alone.take(), alone.take(), alone.take());
        let first = in_vain.0.err().unwrap();
        assert!(in_vain.1.err().unwrap() < first * 2 && in_vain.2.err().unwrap() < first * 2);
        assert!(alone.take().await.err().unwrap() < first * 3, "they failed together");
        drop(long);
        let one = async {
            let turn = alone.take().await.ok().unwrap();
            tokio::time::sleep(PATIENCE * 4).await;
            drop(turn);
        };
        let ((), other) = tokio::join!(one, alone.take());
        assert!(other.err().unwrap() <= PATIENCE * 4, "somebody had a turn meanwhile");
        assert!(alone.take().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_wanted_any_more_of_who_stops_waiting() {
        let alone = Alone::default();
        let _long = alone.shared().await;
        assert!(tokio::time::timeout(Duration::from_millis(1), alone.take()).await.is_err());
        assert!(!alone.is_wanted());
    }
}
