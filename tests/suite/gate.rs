//! A place in user code at which a test holds batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, watch};

/// Open until it is closed. Given to the builder as a state.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    closed: watch::Sender<bool>,
    arrivals: Semaphore,
    mended: AtomicBool,
}

impl Default for Gate {
    fn default() -> Self {
        let inner =
            Inner { closed: watch::Sender::new(false), arrivals: Semaphore::new(0), mended: AtomicBool::new(false) };
        Self(Arc::new(inner))
    }
}

impl Gate {
    /// From now on, who comes here stays.
    pub fn close(&self) {
        self.0.closed.send_replace(true);
    }

    /// Lets everybody pass.
    pub fn open(&self) {
        self.0.closed.send_replace(false);
    }

    /// Waits until one more has come.
    pub async fn reached(&self) {
        let arrival = tokio::time::timeout(super::PATIENCE, self.0.arrivals.acquire()).await;
        arrival.expect("somebody comes to the gate").unwrap().forget();
    }

    /// In user code: passes once it is open.
    pub async fn pass(&self) {
        if *self.0.closed.borrow() {
            self.0.arrivals.add_permits(1);
            let _ = self.0.closed.subscribe().wait_for(|closed| !closed).await;
        }
    }

    /// From now on, faults do not happen any more.
    pub fn mend(&self) {
        self.0.mended.store(true, Ordering::SeqCst);
    }

    pub fn is_mended(&self) -> bool {
        self.0.mended.load(Ordering::SeqCst)
    }
}
