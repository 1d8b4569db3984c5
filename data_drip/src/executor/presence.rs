//! The worker's own connection to the database, as long as there is one: others see by its lock that this process lives, and
//! wake it with their calls.
//!
//! Nothing depends on it. Without it a process looks for work as often as it was told to, and is dead when its lease has run
//! out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Pool;
use tokio_util::sync::CancellationToken;

use crate::answer::{ask, within};
use crate::backend::{Backend, Call, Presence, Proof};
use crate::executor::lease::{Pulse, WATCH};
use crate::store::workers;

/// How long nothing may be heard before the worker calls itself. Calls of others are heard by all, so that a fleet
/// calls about as often as one process does.
const SILENCE: Duration = Duration::from_secs(30);

/// Before the next try to have such a connection: the first time, and at most.
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_mins(5);

/// How long the database may take for a statement.
const ANSWER: Duration = Duration::from_secs(5);

/// How long it has to stand before this worker believes what others' locks say: whatever took it away, a restart of the
/// server for one, has taken theirs as well, and they need a moment to come back.
const SETTLED: Duration = Duration::from_secs(3);

/// How long who has just lost the connection may take to say so, once it has noticed.
const GRACE: Duration = Duration::from_millis(700);

/// How often a process looks that is woken when there is work, and has none.
const QUIET: Duration = Duration::from_secs(15);
/// And each of its other parts, which the one that looks wakes.
const STILL: Duration = Duration::from_mins(1);

/// How often this process has to look for what others have done.
#[derive(Default)]
pub(super) struct Pace {
    standing: Mutex<Standing>,
    /// No run is at work or waits for a worker, as far as this process knows.
    idle: AtomicBool,
}

#[derive(Default)]
struct Standing {
    /// Since when the connection is there.
    since: Option<Instant>,
    /// Calls are heard on it.
    hears: bool,
    /// How often work was called out.
    calls: u64,
}

impl Pace {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls that were heard so far.
    pub(super) fn calls(&self) -> u64 {
        self.standing().calls
    }

    /// Takes note of whether there is anything to do, as it was seen after so many calls.
    pub(super) fn set_idle(&self, idle: bool, calls: u64) {
        let standing = self.standing();
        self.idle.store(idle && standing.calls == calls, Ordering::Relaxed);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed)
    }

    /// How often slots and planner look by themselves. While there is nothing to do, one look for all of them does: the
    /// sweep's.
    pub(super) fn of_parts(&self, poll_interval: Duration) -> Duration {
        if self.is_idle() { poll_interval.max(STILL) } else { poll_interval }
    }

    /// How often the sweep looks.
    pub(super) fn of_sweep(&self, poll_interval: Duration) -> Duration {
        if self.is_idle() && self.standing().hears { poll_interval.max(QUIET) } else { poll_interval }
    }

    /// How long a lock has to be free to say that its worker is gone: as long as a worker that lives may take to say that no
    /// lock stands for it. `None` while locks say nothing.
    pub(super) fn grace(&self) -> Option<Duration> {
        let standing = self.standing();
        let grace = if standing.hears { GRACE } else { GRACE + 2 * WATCH };
        standing.since.filter(|since| since.elapsed() >= SETTLED).map(|_| grace)
    }

    fn called(&self) {
        self.standing().calls += 1;
        self.idle.store(false, Ordering::Relaxed);
    }

    fn stands(&self, hears: bool) {
        let mut standing = self.standing();
        standing.hears = hears;
        standing.since.get_or_insert_with(Instant::now);
    }

    fn falls(&self) {
        let mut standing = self.standing();
        standing.hears = false;
        standing.since = None;
    }
}

/// Why there is no such connection now.
enum Fallen {
    /// The worker ends.
    Over,
    /// This database has none.
    None,
    /// A pooler is in between.
    Void,
    Lost(sqlx::Error),
}

impl From<sqlx::Error> for Fallen {
    fn from(error: sqlx::Error) -> Self {
        Self::Lost(error)
    }
}

/// Keeps such a connection open until told to stop.
pub(super) async fn attend<DB: Backend>(pulse: &Pulse<DB>, pool: &Pool<DB>) {
    let mut again_in = SOON;
    let mut said = false;
    loop {
        let mut stood = false;
        let fallen = match stand(pulse, pool, &mut stood).await {
            Ok(never) => match never {},
            Err(fallen) => fallen,
        };
        pulse.pace.falls();
        // A worker that ends leaves it: what it still holds can be taken over at once.
        if stood && !matches!(fallen, Fallen::Over) {
            (again_in, said) = (SOON, false);
            clear(pulse, pool).await;
        }
        match fallen {
            Fallen::Over | Fallen::None => return,
            Fallen::Void if !said => tracing::warn!(
                "no calls come through to this process (is a pooler in between?): it looks for work by itself, and its \
                 batches are taken over by its lease only"
            ),
            Fallen::Lost(error) if !said => {
                tracing::warn!(%error, "the connection for calls is lost: this process looks for work by itself until it is back");
            }
            Fallen::Void | Fallen::Lost(_) => tracing::debug!("still no connection for calls"),
        }
        said = true;
        if !pulse.pause(again_in).await {
            return;
        }
        again_in = (again_in * 2).min(LATER);
    }
}

/// The lock's number must not outlive the lock: others would take this worker for dead.
async fn clear<DB: Backend>(pulse: &Pulse<DB>, pool: &Pool<DB>) {
    let mut again_in = Duration::from_millis(20);
    loop {
        let cleared = async { ask!(pool, ANSWER, |conn| workers::unlocked::<DB>(conn, &pulse.worker.id)) };
        match cleared.await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "could not say yet that no lock stands for this worker"),
        }
        if !pulse.pause(again_in).await {
            return;
        }
        again_in = (again_in * 2).min(Duration::from_secs(1));
    }
}

enum Never {}

async fn stand<DB: Backend>(pulse: &Pulse<DB>, pool: &Pool<DB>, stood: &mut bool) -> Result<Never, Fallen> {
    let options = pool.connect_options();
    let opened = unless(&pulse.stop, DB::presence(options)).await?;
    let mut presence = opened?.ok_or(Fallen::None)?;
    let outcome = unless(&pulse.stop, keep(pulse, pool, &mut *presence, stood)).await;
    let left = async {
        presence.leave().await;
        Ok(())
    };
    if let Err(error) = within::<DB, _>(ANSWER, left).await {
        tracing::debug!(%error, "the connection for calls is left behind");
    }
    outcome?
}

async fn keep<DB: Backend>(
    pulse: &Pulse<DB>,
    pool: &Pool<DB>,
    presence: &mut dyn Presence<DB>,
    stood: &mut bool,
) -> Result<Never, Fallen> {
    loop {
        let proof = ask!(pool, 3 * ANSWER, |conn| presence.prove(conn))?;
        let hears = match proof {
            Proof::Heard(call) => {
                hear(pulse, call);
                true
            }
            Proof::Held => false,
            Proof::Void => return Err(Fallen::Void),
        };
        if !*stood {
            let (worker, token) = (&pulse.worker.id, presence.token());
            ask!(pool, ANSWER, |conn| workers::locked::<DB>(conn, worker, token))?;
            *stood = true;
            tracing::info!(worker = pulse.worker.id, hears, "others see that this process lives");
        }
        pulse.pace.stands(hears);
        if hears {
            while let Ok(call) = tokio::time::timeout(SILENCE, presence.heard()).await {
                hear(pulse, call?);
            }
        } else {
            stay_silent(pulse).await;
        }
    }
}

/// Where nothing is heard, a connection that is lost does not say so: it is looked at, often as long as there is something to
/// lose.
async fn stay_silent<DB: Backend>(pulse: &Pulse<DB>) {
    let since = Instant::now();
    loop {
        tokio::time::sleep(WATCH).await;
        if since.elapsed() >= SILENCE || !pulse.core.signals.flights_of(&pulse.worker.id).is_empty() {
            return;
        }
    }
}

fn hear<DB: Backend>(pulse: &Pulse<DB>, call: Call) {
    match call {
        Call::Work => {
            pulse.pace.called();
            pulse.core.signals.stir();
        }
        // Nobody else: with many runs at work planners would wake each other all the time.
        Call::Batches => pulse.core.signals.work.notify_waiters(),
        Call::Test => {}
    }
}

async fn unless<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Result<T, Fallen> {
    tokio::select! {
        () = stop.cancelled() => Err(Fallen::Over),
        done = work => Ok(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Duration = Duration::from_secs(1);

    #[test]
    fn a_process_looks_seldom_only_while_it_is_idle_and_hears() {
        let pace = Pace::default();
        assert_eq!((pace.of_parts(POLL), pace.of_sweep(POLL)), (POLL, POLL));
        pace.set_idle(true, pace.calls());
        assert_eq!((pace.of_parts(POLL), pace.of_sweep(POLL)), (STILL, POLL));
        pace.stands(true);
        assert_eq!((pace.of_parts(POLL), pace.of_sweep(POLL)), (STILL, QUIET));
        pace.falls();
        assert_eq!(pace.of_sweep(POLL), POLL);
        let hour = Duration::from_hours(1);
        assert_eq!((pace.of_parts(hour), pace.of_sweep(hour)), (hour, hour), "never more often than it was told to");
    }

    #[test]
    fn a_look_from_before_a_call_says_nothing() {
        let pace = Pace::default();
        let before = pace.calls();
        pace.called();
        pace.set_idle(true, before);
        assert!(!pace.is_idle());
    }

    #[test]
    fn locks_are_not_believed_before_the_own_one_has_stood_for_a_while() {
        let pace = Pace::default();
        assert_eq!(pace.grace(), None);
        pace.stands(true);
        assert_eq!(pace.grace(), None);
        pace.standing().since = Instant::now().checked_sub(SETTLED);
        assert_eq!(pace.grace(), Some(GRACE));
        pace.stands(false);
        assert!(pace.grace() > Some(GRACE + WATCH), "where a loss is noticed later");
    }
}
