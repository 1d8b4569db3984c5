//! The planners of one process: how many are at work at once, and how often each looks.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::executor::schedule;

/// Planners of one process that may be at work at once; the others wait, for their batches to be claimed or for a place.
const PLACES: usize = 16;
/// Runs that may be prepared at once: `before_run` may take its time, and each holds a connection of its own.
pub(crate) const PREPARING: usize = 16;

/// The planners of one process.
pub(super) struct Crowd {
    places: Arc<Semaphore>,
    preparing: Semaphore,
    members: AtomicU32,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            preparing: Semaphore::new(PREPARING),
            members: AtomicU32::new(0),
        }
    }
}

impl Crowd {
    pub(super) fn count(&self, members: usize) {
        self.members.store(u32::try_from(members).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// How often each looks for what other processes have done: seldom where there are many.
    pub(super) fn pause(&self, poll_interval: Duration) -> Duration {
        let lots = self.members.load(Ordering::Relaxed) / 16 + 1;
        schedule::jittered((poll_interval * lots).min(poll_interval.max(Duration::from_secs(30))))
    }

    /// The right to prepare a run. The semaphores are never closed.
    pub(super) async fn prepares(&self) -> Option<SemaphorePermit<'_>> {
        self.preparing.acquire().await.ok()
    }
}

/// One planner's place among those at work; given back while it waits.
pub(super) struct Place<'c> {
    crowd: &'c Crowd,
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

impl<'c> Place<'c> {
    pub(super) async fn take(crowd: &'c Crowd) -> Self {
        let place = Self { crowd, held: Mutex::default() };
        place.take_again().await;
        place
    }

    pub(super) async fn take_again(&self) {
        let permit = Arc::clone(&self.crowd.places).acquire_owned().await.ok();
        self.put(permit);
    }

    pub(super) fn give_back(&self) {
        self.put(None);
    }

    fn put(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }
}
