//! What any worker does from time to time for all: starting due runs, settling, taking over from the dead.

use std::collections::HashMap;
use std::sync::Arc;

use crate::backend::Backend;
use crate::executor::answer::ask;
use crate::executor::{Engine, schedule};
use crate::hooks::Event;
use crate::run::RunId;
use crate::status::{BatchStatus, RunStatus};
use crate::store::workers::{Look, Loss};
use crate::store::{runs, workers};

/// Sweeps until the engine drains.
pub(super) async fn sweep<DB: Backend>(engine: Arc<Engine<DB>>) {
    let mut suspects = Suspects::default();
    let pause = engine.core.config.poll_interval.min(engine.lease.interval());
    loop {
        if let Err(error) = round(&engine, &mut suspects).await {
            tracing::debug!(%error, "a sweep did not get through");
        }
        tokio::select! {
            () = engine.draining.cancelled() => return,
            () = tokio::time::sleep(schedule::jittered(pause)) => {}
        }
    }
}

async fn round<DB: Backend>(engine: &Arc<Engine<DB>>, suspects: &mut Suspects) -> sqlx::Result<()> {
    let (due, settleable, looks) = ask!(engine.pool, engine.patience(), |conn| async {
        Ok((runs::due::<DB>(conn).await?, runs::settleable::<DB>(conn).await?, workers::look::<DB>(conn).await?))
    })?;
    for run in due {
        // A busy database must not keep this round from all that follows.
        if let Err(error) = begin(engine, run).await {
            tracing::debug!(run = run.0, %error, "could not begin a run that is due now");
        }
    }
    for run in settleable {
        engine.settle(run).await;
    }
    let forgettable = looks.iter().any(|look| look.forgettable && !look.holds);
    let (own_beats, late) = engine.lease.punctuality();
    for dead in suspects.dead(&engine.worker.id, looks, late, own_beats) {
        if let Err(error) = take_over(engine, &dead).await {
            tracing::debug!(worker = dead.id, %error, "could not take over now");
        }
    }
    if forgettable {
        let _turn = engine.turn().await;
        ask!(engine.writing, engine.patience(), |conn| workers::forget::<DB>(conn))?;
    }
    Ok(())
}

async fn begin<DB: Backend>(engine: &Engine<DB>, run: RunId) -> sqlx::Result<()> {
    let _turn = engine.turn().await;
    if ask!(engine.writing, engine.patience(), |conn| runs::enqueue::<DB>(conn, run))? {
        tracing::info!(run = run.0, "the run's start time has come");
        engine.core.hooks.announce(Event::Run(run, RunStatus::Enqueued));
        engine.core.signals.plan.notify_waiters();
    }
    Ok(())
}

async fn take_over<DB: Backend>(engine: &Arc<Engine<DB>>, dead: &Look) -> sqlx::Result<()> {
    let turn = engine.turn().await;
    let most = schedule::MOST_LONE_LOSSES;
    let losses = ask!(engine.writing, engine.patience(), |conn| workers::take_over::<DB>(conn, dead, most))?;
    let Some(losses) = losses else { return Ok(()) };
    drop(turn);
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
#[derive(Default)]
struct Suspects(HashMap<String, Suspect>);

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
    /// Takes a look; whoever is dead by it.
    fn dead(&mut self, own: &str, looks: Vec<Look>, late: bool, own_beats: u64) -> Vec<Look> {
        let mut dead = Vec::new();
        let mut seen = HashMap::new();
        for look in looks.into_iter().filter(|look| look.holds && look.id != own) {
            let before = self.0.remove(&look.id).filter(|before| before.beat == look.beat);
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
        self.0 = seen;
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(beat: i64, expired: bool) -> Vec<Look> {
        vec![Look { id: "other".into(), beat: Some(beat), expired, holds: true, forgettable: false }]
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
        let gone = || vec![Look { id: "gone".into(), beat: None, expired: true, holds: true, forgettable: false }];
        assert!(!is_dead(&mut suspects, gone(), false, 1));
        assert!(is_dead(&mut suspects, gone(), false, 3));
    }

    #[test]
    fn nobody_takes_over_from_itself() {
        let mut suspects = Suspects::default();
        for own_beats in 0..10 {
            assert!(suspects.dead("other", look(5, true), false, own_beats).is_empty());
        }
    }
}
