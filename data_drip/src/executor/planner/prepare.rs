//! `before_run`: asked once, in a transaction that also writes down that it has agreed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::{ask, is_answer, within};
use crate::backend::{Backend, Session};
use crate::backfill::Context;
use crate::core::Link;
use crate::error::Failure;
use crate::executor::attempt::elapsed;
use crate::executor::planner::halt::Halt;
use crate::executor::planner::planning::Planner;
use crate::executor::schedule;
use crate::inside::inside;
use crate::panics::caught;
use crate::registry::Instance;
use crate::run::Run;
use crate::store::plans;

impl<DB: Backend> Planner<'_, DB> {
    /// Runs `before_run` and writes down that it succeeded, in one transaction.
    pub(super) async fn prepare(&self, run: &Run, instance: &dyn Instance<DB>, alone: bool) -> Result<(), Halt> {
        // Who is alone keeps what it has: the others wait for it, and with what it would wait for.
        if alone {
            return self.until_prepared(run, instance, true).await;
        }
        // It may take its time, and other runs have theirs to plan.
        self.place.give_back();
        let draining = &self.engine.draining;
        let right = tokio::select! {
            () = draining.cancelled() => return Err(Halt::Over),
            right = self.crowd.prepares() => right,
        };
        self.until_prepared(run, instance, false).await?;
        drop(right);
        tokio::select! {
            () = draining.cancelled() => Err(Halt::Over),
            () = self.place.take_again() => Ok(()),
        }
    }

    async fn until_prepared(&self, run: &Run, instance: &dyn Instance<DB>, alone: bool) -> Result<(), Halt> {
        let mut failed = 0;
        loop {
            let outcome = self.try_prepare(run, instance, alone).await;
            let failure = match outcome {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => return Err(Halt::Over),
                Ok(Err(failure)) => failure,
                // The engine's own statements: a busy database is not `before_run`'s failure.
                Err(error) if DB::is_transient(&error) => return Err(Halt::Database(error)),
                Err(error) => error.into(),
            };
            failed += 1;
            let passing = failure.is_transient() || failure.chain().any(DB::is_transient);
            if !passing || failed > schedule::MOST_TRANSIENTS {
                return Err(Halt::Refused(format!("before_run refused the run: {}", failure.report())));
            }
            self.pause(schedule::after_transient(failed)).await?;
        }
    }

    async fn try_prepare(
        &self,
        run: &Run,
        instance: &dyn Instance<DB>,
        alone: bool,
    ) -> sqlx::Result<crate::Result<bool>> {
        let _beside_others = self.beside_others(alone).await;
        let _turn = self.engine.turn().await;
        let mut link = Link::acquire(&self.engine.preparing).await?;
        let outcome = self.ask_before_run(&mut link, run, instance).await;
        if outcome.as_ref().is_err_and(|error| !is_answer(error)) {
            link.discard();
        } else {
            link.release().await;
        }
        outcome
    }

    /// `Ok(Ok(false))` when the role is lost or the run is being stopped; the inner error is that of user code.
    async fn ask_before_run(
        &self,
        link: &mut Link<DB>,
        run: &Run,
        instance: &dyn Instance<DB>,
    ) -> sqlx::Result<crate::Result<bool>> {
        let context = Context::new(Arc::new(run.clone()), self.engine.core.states.clone());
        let (conn, session) = link.parts();
        let silence = self.engine.lease.silence();
        if !self.in_time(plans::mark::<DB>(conn, self.role, true)).await? {
            return Ok(Ok(false));
        }
        let mut tx = self.in_time(DB::begin_batch(conn, session, self.role.to_string(), silence)).await?;
        // Looked at first: whoever lost the role, or whose run was stopped, runs no user code. Written last: until then a
        // stop need not wait for user code.
        if !self.in_time(plans::is_held::<DB>(&mut tx, self.role)).await? {
            self.in_time(tx.rollback()).await?;
            return Ok(Ok(false));
        }
        // The connection may be hours old, and the tables of `before_run` may have changed since.
        self.in_time(DB::forget_statements(&mut tx)).await?;
        self.in_time(DB::guard(&mut tx, session)).await?;
        let outcome = tokio::select! {
            biased;
            () = self.engine.aborting.cancelled() => None,
            () = self.stop_asked() => None,
            after = elapsed(run.timeout) => Some(Err(Failure::from(format!("timed out after {after:?}")))),
            outcome = inside(caught(|| instance.before_run(run, &mut tx, &context))) => Some(outcome),
        };
        if !matches!(outcome, Some(Ok(()))) {
            // A statement that was dropped half-way would run on.
            session.interrupt();
        }
        let intact = self.in_time(DB::unguard(&mut tx, session, false)).await;
        if matches!(intact, Ok(true)) && matches!(outcome, Some(Ok(()))) {
            let held = self.in_time(plans::prepare::<DB>(&mut tx, self.role)).await?;
            if held {
                self.in_time(tx.commit()).await?;
            } else {
                self.in_time(tx.rollback()).await?;
            }
            return Ok(Ok(held));
        }
        // However that goes: a connection that is gone has rolled back as well, and shows it when it is given back.
        if let Err(error) = self.in_time(tx.rollback()).await {
            tracing::debug!(%error, "the rollback of before_run was not answered");
        }
        session.resume();
        Ok(match (outcome, intact) {
            (Some(Err(failure)), _) => Err(failure),
            (Some(Ok(())), Err(error)) => return Err(error),
            (Some(Ok(())), Ok(_)) => Err(Failure::from("it ended the transaction that it was given")),
            (None, _) => Ok(false),
        })
    }

    async fn in_time<T>(&self, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        within::<DB, _>(self.engine.patience(), answer).await
    }

    /// Resolves when somebody, in this process or another, stops the run now.
    async fn stop_asked(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let run = self.role.run;
            if self.engine.core.signals.is_halted(run) || DB::is_called_to_stop(&self.engine.pool, run) {
                return;
            }
            // Where one connection writes at a time, nobody can have changed the run meanwhile.
            if DB::MAX_SLOTS != Some(1) && matches!(self.is_held().await, Ok(false)) {
                return;
            }
        }
    }

    async fn is_held(&self) -> sqlx::Result<bool> {
        ask!(self.engine.pool, self.engine.patience(), |conn| plans::is_held::<DB>(conn, self.role))
    }
}
