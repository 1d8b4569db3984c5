//! Telling user code about changes of status: after they are committed, off the path of the batches.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::backend::Backend;
use crate::backfill::{BoxFuture, Context, Hook};
use crate::error::Result;
use crate::panics::caught;
use crate::registry::Instance;
use crate::run::{BatchId, Run, RunBatch, RunId};
use crate::status::{BatchStatus, RunStatus};

/// Events that wait for their hooks. Beyond, they are dropped with a warning: hooks promise at most once, and a slow
/// hook must not fill the memory.
const BACKLOG: usize = 10_000;

/// Batches read at once of those that changed together: a retry can have very many.
const AT_ONCE: usize = 1_000;

macro_rules! handler {
    ($($(#[$meta:meta])* $method:ident: $hook:ident ( $($batch:ident)? )),* $(,)?) => {
        /// Told about changes of status of runs and batches, unless the backfill has a hook of that name itself.
        ///
        /// Each method is called in the process that committed the change, afterwards, at most once. An error or a
        /// panic is logged and changes nothing.
        ///
        /// Not told are: that a run was asked for with [`in_tx`](crate::api::Enqueue::in_tx); changes while 10,000 others wait
        /// for slow hooks; those of a run or batch that cannot be read afterwards, since the database does not answer or
        /// it was deleted; and those that a process did not come to before it died or its shutdown was over. What must not be
        /// missed is to be read from the run.
        ///
        /// ```
        /// use data_drip::{Handler, Run};
        /// struct Pager;
        /// impl Handler for Pager {
        ///     async fn on_run_failed(&self, run: &Run) -> data_drip::Result {
        ///         eprintln!("run {} of {} failed", run.id, run.backfill);
        ///         Ok(())
        ///     }
        /// }
        /// ```
        pub trait Handler: Send + Sync + 'static {
            $(
                $(#[$meta])*
                fn $method(&self, run: &Run $(, $batch: &RunBatch)?) -> impl Future<Output = Result> + Send {
                    let _ = (run $(, $batch)?);
                    std::future::ready(Ok(()))
                }
            )*
        }

        impl<H: Handler> AnyHandler for H {
            fn fire<'a>(&'a self, hook: Hook, run: &'a Run, batch: Option<&'a RunBatch>) -> BoxFuture<'a, Result> {
                Box::pin(async move {
                    match (hook, batch) {
                        $((Hook::$hook, handler!(@some $($batch)?)) => self.$method(run $(, $batch)?).await,)*
                        _ => Ok(()),
                    }
                })
            }
        }
    };
    (@some $batch:ident) => { Some($batch) };
    (@some) => { _ };
}

handler! {
    /// The run waits for its start time.
    on_run_pending: RunPending(),
    /// The run is due.
    on_run_enqueued: RunEnqueued(),
    /// A worker took the run.
    on_run_running: RunRunning(),
    /// The run was paused.
    on_run_paused: RunPaused(),
    /// Every batch is completed.
    on_run_completed: RunCompleted(),
    /// The run settled with failed batches, or could not be planned.
    on_run_failed: RunFailed(),
    /// The run was stopped.
    on_run_stopped: RunStopped(),
    /// The batch was planned, or waits again.
    on_batch_pending: BatchPending(batch),
    /// A worker claimed the batch.
    on_batch_running: BatchRunning(batch),
    /// The batch committed.
    on_batch_completed: BatchCompleted(batch),
    /// The batch was given up.
    on_batch_failed: BatchFailed(batch),
    /// The batch's run was stopped before it committed.
    on_batch_stopped: BatchStopped(batch),
}

/// [`Handler`] as a trait object.
pub(crate) trait AnyHandler: Send + Sync {
    fn fire<'a>(&'a self, hook: Hook, run: &'a Run, batch: Option<&'a RunBatch>) -> BoxFuture<'a, Result>;
}

impl Hook {
    /// The hook that follows a run's change to `status`.
    pub(crate) fn of_run(status: RunStatus) -> Self {
        match status {
            RunStatus::Pending => Self::RunPending,
            RunStatus::Enqueued => Self::RunEnqueued,
            RunStatus::Running => Self::RunRunning,
            RunStatus::Paused => Self::RunPaused,
            RunStatus::Completed => Self::RunCompleted,
            RunStatus::Failed => Self::RunFailed,
            RunStatus::Stopped => Self::RunStopped,
        }
    }

    /// The hook that follows a batch's change to `status`.
    pub(crate) fn of_batch(status: BatchStatus) -> Self {
        match status {
            BatchStatus::Pending => Self::BatchPending,
            BatchStatus::Running => Self::BatchRunning,
            BatchStatus::Completed => Self::BatchCompleted,
            BatchStatus::Failed => Self::BatchFailed,
            BatchStatus::Stopped => Self::BatchStopped,
        }
    }
}

/// A committed change of status.
#[derive(Debug)]
pub(crate) enum Event {
    Run(RunId, RunStatus),
    /// The batch as the change left it.
    Batch(Box<RunBatch>),
    /// Many batches of one run at once.
    Batches(RunId, BatchStatus, Vec<BatchId>),
}

impl Event {
    pub(crate) fn run_id(&self) -> RunId {
        match self {
            Self::Run(run, _) | Self::Batches(run, ..) => *run,
            Self::Batch(batch) => batch.run_id,
        }
    }

    fn hook(&self) -> Hook {
        match self {
            Self::Run(_, status) => Hook::of_run(*status),
            Self::Batch(batch) => Hook::of_batch(batch.status),
            Self::Batches(_, status, _) => Hook::of_batch(*status),
        }
    }
}

enum Message {
    Event(Event),
    /// Answered when every event before it is done.
    Flush(tokio::sync::oneshot::Sender<()>),
}

/// Where committed changes are handed in; cheap to clone.
#[derive(Clone)]
pub(crate) struct Hooks {
    sender: mpsc::Sender<Message>,
    /// Some backfill or the global handler listens to batches: without, their events are not even queued.
    batches: bool,
    runs: bool,
}

impl Hooks {
    /// Announces a change that is committed.
    pub(crate) fn announce(&self, event: Event) {
        let wanted = if matches!(event, Event::Run(..)) { self.runs } else { self.batches };
        if wanted
            && let Err(mpsc::error::TrySendError::Full(Message::Event(event))) =
                self.sender.try_send(Message::Event(event))
        {
            tracing::warn!(run = event.run_id().0, hook = ?event.hook(), "hooks are too slow: this one is dropped");
        }
    }

    /// Waits until the hooks of everything announced so far have run.
    pub(crate) async fn flush(&self) {
        let (done, wait) = tokio::sync::oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

/// A run's backfill, and the hooks that it answers itself.
pub(crate) type Answering<DB> = (Arc<dyn Instance<DB>>, &'static [Hook]);

/// What the dispatcher needs of the rest: runs, batches and code.
pub(crate) trait Lookup<DB: Backend>: Send + Sync + 'static {
    fn run(&self, id: RunId) -> BoxFuture<'_, Option<Run>>;
    fn batches<'a>(&'a self, ids: &'a [BatchId]) -> BoxFuture<'a, Vec<RunBatch>>;
    fn instance(&self, run: &Run) -> Option<Answering<DB>>;
    fn context(&self, run: &Run) -> Context;
}

/// Makes the entrance; the exit is for [`dispatch`].
pub(crate) fn channel(runs: bool, batches: bool) -> (Hooks, Inbox) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (Hooks { sender, batches, runs }, Inbox(receiver))
}

/// Events on their way to the hooks.
pub(crate) struct Inbox(mpsc::Receiver<Message>);

/// Runs hooks one after the other until every entrance is gone.
pub(crate) async fn dispatch<DB: Backend>(
    mut inbox: Inbox,
    lookup: std::sync::Weak<dyn Lookup<DB>>,
    global: Option<Arc<dyn AnyHandler>>,
) {
    // Runs change seldom next to their batches: one look per run serves many batch events.
    let mut seen: HashMap<RunId, Arc<Run>> = HashMap::new();
    while let Some(message) = inbox.0.recv().await {
        let event = match message {
            Message::Event(event) => event,
            Message::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let Some(lookup) = lookup.upgrade() else { return };
        let id = event.run_id();
        if matches!(event, Event::Run(..)) || !seen.contains_key(&id) {
            if seen.len() > 64 {
                seen.clear();
            }
            let Some(run) = lookup.run(id).await else { continue };
            seen.insert(id, Arc::new(run));
        }
        let mut run = Arc::clone(&seen[&id]);
        let hook = event.hook();
        let batch = match event {
            Event::Run(_, status) => {
                // Told as it was at the change, even when it has moved on since.
                Arc::make_mut(&mut run).status = status;
                fire(&*lookup, global.as_deref(), hook, &run, None).await;
                continue;
            }
            Event::Batch(batch) => batch,
            Event::Batches(_, status, ids) => {
                for ids in ids.chunks(AT_ONCE) {
                    for mut batch in lookup.batches(ids).await {
                        batch.status = status;
                        fire(&*lookup, global.as_deref(), hook, &run, Some(&batch)).await;
                    }
                }
                continue;
            }
        };
        fire(&*lookup, global.as_deref(), hook, &run, Some(&batch)).await;
    }
}

async fn fire<DB: Backend>(
    lookup: &dyn Lookup<DB>,
    global: Option<&dyn AnyHandler>,
    hook: Hook,
    run: &Run,
    batch: Option<&RunBatch>,
) {
    let own = lookup.instance(run).filter(|(_, hooks)| hooks.contains(&hook));
    let outcome = match (&own, global) {
        (Some((instance, _)), _) => {
            let context = lookup.context(run);
            caught(|| instance.on_hook(hook, run, batch, &context)).await
        }
        (None, Some(handler)) => caught(|| handler.fire(hook, run, batch)).await,
        (None, None) => Ok(()),
    };
    if let Err(failure) = outcome {
        let batch = batch.map(|batch| batch.id.0);
        tracing::error!(run = run.id.0, batch, ?hook, error = failure.full_message(), "a hook failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_backlog_events_are_dropped_and_those_that_wait_are_kept_in_order() {
        let (hooks, mut inbox) = channel(true, false);
        let backlog = i64::try_from(BACKLOG).unwrap();
        for id in 0..=backlog {
            hooks.announce(Event::Run(RunId(id), RunStatus::Running));
            // Nobody listens to batches: those take no place.
            hooks.announce(Event::Batches(RunId(id), BatchStatus::Pending, Vec::new()));
        }
        let mut waiting = Vec::new();
        while let Ok(Message::Event(event)) = inbox.0.try_recv() {
            waiting.push(event.run_id().0);
        }
        assert_eq!(waiting, (0..backlog).collect::<Vec<_>>());
        hooks.announce(Event::Run(RunId(7), RunStatus::Running));
        assert!(inbox.0.try_recv().is_ok(), "there is room again");
    }
}
