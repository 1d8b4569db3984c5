//! What any worker does from time to time for all: starting due runs, settling, taking over from the dead.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::answer::{ask, ask_in_turn};
use crate::backend::Backend;
use crate::executor::{Engine, schedule};
use crate::hooks::Event;
use crate::run::RunId;
use crate::status::{BatchStatus, RunStatus};
use crate::store::workers::{Look, Loss};
use crate::store::{runs, workers};

/// Sweeps until the engine drains.
pub(super) async fn sweep<DB: Backend>(engine: Arc<Engine<DB>>) {
    let mut sweeper = Sweeper { engine: Arc::clone(&engine), suspects: Suspects::default(), swept: None };
    let pause = engine.core.config.poll_interval.min(engine.lease.interval());
    loop {
        let signal = engine.core.signals.alert.notified();
        tokio::pin!(signal);
        signal.as_mut().enable();
        let (due_in, pause) = match sweeper.round().await {
            Ok(due_in) => (due_in, engine.pace.of_sweep(pause)),
            // What there is to do is not known: it is looked again, on another connection, as often as it was told to.
            Err(error) => {
                tracing::debug!(%error, "a sweep did not get through");
                (None, pause)
            }
        };
        let pause = schedule::jittered(pause);
        tokio::select! {
            () = engine.draining.cancelled() => return,
            () = signal => {}
            () = tokio::time::sleep(due_in.map_or(pause, |due_in| pause.min(due_in + MOMENT))) => {}
        }
    }
}

/// A start time has come when it is over.
const MOMENT: Duration = Duration::from_millis(1);

struct Sweeper<DB: Backend> {
    engine: Arc<Engine<DB>>,
    suspects: Suspects,
    /// When it was last looked for what is left behind.
    swept: Option<Instant>,
}

impl<DB: Backend> Sweeper<DB> {
    /// Looks for work, for all parts of this process, and does what nobody else does; how long it is until the next run is
    /// due.
    async fn round(&mut self) -> sqlx::Result<Option<Duration>> {
        let engine = Arc::clone(&self.engine);
        let calls = engine.pace.calls();
        let activity = ask!(engine.pool, engine.patience(), |conn| runs::activity::<DB>(conn))?;
        let due = activity.due_in == Some(Duration::ZERO);
        let was_idle = engine.pace.is_idle();
        engine.pace.set_idle(!activity.active && !due, calls);
        if activity.active && was_idle {
            engine.core.signals.work.notify_waiters();
            engine.core.signals.plan.notify_waiters();
        }
        if due {
            begin_due(&engine).await?;
        }
        if activity.active || self.swept.is_none_or(|swept| swept.elapsed() >= engine.lease.interval()) {
            self.swept = Some(Instant::now());
            self.sweep().await?;
        }
        Ok(activity.due_in)
    }

    async fn sweep(&mut self) -> sqlx::Result<()> {
        let engine = &self.engine;
        let (settleable, looks) = ask!(engine.pool, engine.patience(), |conn| async {
            Ok((runs::settleable::<DB>(conn).await?, workers::look::<DB>(conn).await?))
        })?;
        for run in settleable {
            engine.settle(run).await;
        }
        let forgettable = looks.iter().any(|look| look.forgettable && !look.holds);
        let (own_beats, late) = engine.lease.punctuality();
        let gone = self.suspects.gone(&engine.worker.id, &looks, engine.pace.grace());
        for dead in self.suspects.dead(&engine.worker.id, looks, late, own_beats).iter().chain(&gone) {
            if let Err(error) = take_over(engine, dead).await {
                tracing::debug!(worker = dead.id, %error, "could not take over now");
            }
        }
        if forgettable {
            ask_in_turn!(engine, |conn| workers::forget::<DB>(conn))?;
        }
        Ok(())
    }
}

async fn begin_due<DB: Backend>(engine: &Engine<DB>) -> sqlx::Result<()> {
    let due = ask!(engine.pool, engine.patience(), |conn| runs::due::<DB>(conn))?;
    for run in due {
        // A busy database must not keep this round from all that follows.
        if let Err(error) = begin(engine, run).await {
            tracing::debug!(run = run.0, %error, "could not begin a run that is due now");
        }
    }
    Ok(())
}

async fn begin<DB: Backend>(engine: &Engine<DB>, run: RunId) -> sqlx::Result<()> {
    if ask_in_turn!(engine, |conn| runs::enqueue::<DB>(conn, run))? {
        tracing::info!(run = run.0, "the run's start time has come");
        engine.core.hooks.announce(Event::Run(run, RunStatus::Enqueued));
        engine.core.signals.plan.notify_waiters();
    }
    Ok(())
}

async fn take_over<DB: Backend>(engine: &Arc<Engine<DB>>, dead: &Look) -> sqlx::Result<()> {
    let most = schedule::MOST_LONE_LOSSES;
    let losses = ask_in_turn!(engine, |conn| workers::take_over::<DB>(conn, dead, most))?;
    let Some(losses) = losses else { return Ok(()) };
    tracing::warn!(worker = dead.id, batches = losses.len(), "a worker is dead: what it held is taken over");
    for &Loss { batch, run, status } in &losses {
        tracing::warn!(worker = dead.id, run = run.0, batch = batch.0, %status, "a batch of a dead worker is taken over");
        engine.core.hooks.announce(Event::Batches(run, status, vec![batch]));
        if status == BatchStatus::Failed {
            engine.settle(run).await;
        }
    }
    engine.core.signals.work.notify_waiters();
    engine.core.signals.plan.notify_waiters();
    Ok(())
}

/// Workers that hold something, and since when they have not been seen to beat.
///
/// Only a worker whose lease has run out by the database's clock, and which did not beat while this one did, is dead:
/// a clock that jumps shows one of the two only. And on SQLite a neighbour's long batch keeps everybody from beating:
/// as long as this worker's own beats are late, nobody else's silence says much.
///
/// A worker whose lock is free is gone, and its lease need not be waited for. Two looks must see it: who has just lost its
/// connection says that no lock stands for it any more, and needs a moment to do so.
#[derive(Default)]
struct Suspects {
    silent: HashMap<String, Suspect>,
    /// Free locks of the last look, and when they were first seen.
    free: HashMap<i64, Instant>,
}

struct Suspect {
    beat: Option<i64>,
    /// This worker's own beats when the silence began.
    since: u64,
    /// And since when none of them was late.
    in_time_since: u64,
}

/// Own beats, late or not, after which another's silence counts: whatever keeps everybody from beating lets others through
/// as well, sooner or later. Whoever lives all the same loses its claims, and can do no harm: the fence holds.
const MUCH_PATIENCE: u64 = 6;

/// Own beats in time after which another's silence counts; two, so that a whole interval lies between them.
const PATIENCE: u64 = 2;

impl Suspects {
    /// Whoever is gone by its lock, after a time of grace; nobody without.
    fn gone(&mut self, own: &str, looks: &[Look], grace: Option<Duration>) -> Vec<Look> {
        let before = std::mem::take(&mut self.free);
        let Some(grace) = grace else { return Vec::new() };
        let mut gone = Vec::new();
        for look in looks.iter().filter(|look| look.holds && look.id != own) {
            let Some(token) = look.freed else { continue };
            let since = before.get(&token).copied().unwrap_or_else(Instant::now);
            if since.elapsed() >= grace {
                gone.push(look.clone());
            }
            self.free.insert(token, since);
        }
        gone
    }

    /// Takes a look; whoever is dead by it.
    fn dead(&mut self, own: &str, looks: Vec<Look>, late: bool, own_beats: u64) -> Vec<Look> {
        let mut dead = Vec::new();
        let mut seen = HashMap::new();
        for look in looks.into_iter().filter(|look| look.holds && look.id != own) {
            let before = self.silent.remove(&look.id).filter(|before| before.beat == look.beat);
            let mut suspect = before.unwrap_or(Suspect { beat: look.beat, since: own_beats, in_time_since: own_beats });
            if late {
                suspect.in_time_since = own_beats;
            }
            let silent = own_beats.saturating_sub(suspect.in_time_since) >= PATIENCE
                || own_beats.saturating_sub(suspect.since) >= MUCH_PATIENCE;
            if look.expired && silent {
                dead.push(look);
            } else {
                seen.insert(look.id, suspect);
            }
        }
        self.silent = seen;
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(1);

    fn look(beat: i64, expired: bool) -> Vec<Look> {
        vec![Look { id: "other".into(), beat: Some(beat), expired, holds: true, forgettable: false, freed: None }]
    }

    fn is_dead(suspects: &mut Suspects, looks: Vec<Look>, late: bool, own_beats: u64) -> bool {
        !suspects.dead("me", looks, late, own_beats).is_empty()
    }

    #[test]
    fn a_silent_worker_is_dead_after_its_lease_and_two_beats_of_ours() {
        let mut suspects = Suspects::default();
        assert!(!is_dead(&mut suspects, look(5, true), false, 1));
        assert!(!is_dead(&mut suspects, look(5, true), false, 2));
        assert!(is_dead(&mut suspects, look(5, true), false, 3));
    }

    #[test]
    fn a_clock_that_jumps_kills_nobody_who_beats() {
        let mut suspects = Suspects::default();
        for beat in 1..10 {
            assert!(!is_dead(&mut suspects, look(beat, true), false, beat.unsigned_abs() * 3));
        }
    }

    #[test]
    fn silence_alone_is_not_death_before_the_lease_has_run_out() {
        let mut suspects = Suspects::default();
        for own_beats in 1..10 {
            assert!(!is_dead(&mut suspects, look(5, false), false, own_beats));
        }
        assert!(is_dead(&mut suspects, look(5, true), false, 10));
    }

    #[test]
    fn while_our_own_beats_are_late_nobody_elses_silence_counts() {
        let mut suspects = Suspects::default();
        assert!(!is_dead(&mut suspects, look(5, true), false, 1));
        assert!(!is_dead(&mut suspects, look(5, true), true, 4));
        assert!(!is_dead(&mut suspects, look(5, true), false, 5));
        assert!(is_dead(&mut suspects, look(5, true), false, 6));
    }

    #[test]
    fn beats_that_are_always_late_keep_a_dead_worker_for_some_of_them_only() {
        let mut suspects = Suspects::default();
        for own_beats in 1..7 {
            assert!(!is_dead(&mut suspects, look(5, true), true, own_beats));
        }
        assert!(is_dead(&mut suspects, look(5, true), true, 7));
        // One that beats, late as well, is never dead.
        for own_beats in 1..30 {
            assert!(!is_dead(&mut suspects, look(i64::try_from(own_beats).unwrap(), true), true, own_beats));
        }
    }

    #[test]
    fn a_holder_without_a_row_is_looked_at_twice_as_well() {
        let mut suspects = Suspects::default();
        let gone = || {
            vec![Look { id: "gone".into(), beat: None, expired: true, holds: true, forgettable: false, freed: None }]
        };
        assert!(!is_dead(&mut suspects, gone(), false, 1));
        assert!(is_dead(&mut suspects, gone(), false, 3));
    }

    fn free(token: i64) -> Vec<Look> {
        vec![Look { freed: Some(token), ..look(5, false).remove(0) }]
    }

    #[test]
    fn a_worker_whose_lock_stays_free_is_gone_before_its_lease_has_run_out() {
        let mut suspects = Suspects::default();
        assert!(suspects.gone("me", &free(7), Some(GRACE)).is_empty(), "two looks must see it");
        let first_seen = suspects.free[&7];
        assert!(suspects.gone("me", &free(7), Some(GRACE)).is_empty(), "with a moment in between");
        assert_eq!(suspects.free[&7], first_seen);
        suspects.free.insert(7, first_seen.checked_sub(GRACE).unwrap());
        assert_eq!(suspects.gone("me", &free(7), Some(GRACE)).len(), 1);
    }

    #[test]
    fn a_lock_that_was_held_again_or_is_another_one_begins_anew() {
        let mut suspects = Suspects::default();
        let long_ago = Instant::now().checked_sub(GRACE).unwrap();
        suspects.free.insert(7, long_ago);
        assert!(suspects.gone("me", &free(8), Some(GRACE)).is_empty());
        suspects.free.insert(7, long_ago);
        assert!(suspects.gone("me", &look(5, false), Some(GRACE)).is_empty());
        assert!(suspects.free.is_empty());
    }

    #[test]
    fn without_a_lock_of_our_own_nobody_is_gone_by_theirs() {
        let mut suspects = Suspects::default();
        suspects.free.insert(7, Instant::now().checked_sub(GRACE).unwrap());
        assert!(suspects.gone("me", &free(7), None).is_empty());
        assert!(suspects.gone("me", &free(7), Some(GRACE)).is_empty());
    }

    #[test]
    fn nobody_takes_over_from_itself() {
        let mut suspects = Suspects::default();
        for own_beats in 0..10 {
            assert!(suspects.dead("other", look(5, true), false, own_beats).is_empty());
            assert!(suspects.gone("other", &free(7), Some(GRACE)).is_empty());
        }
    }
}
