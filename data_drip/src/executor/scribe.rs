//! Writes down what user code said, after its batches have ended and off the slots' path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::answer::ask_in_turn;
use crate::backend::Backend;
use crate::core::PATIENCE;
use crate::executor::Engine;
use crate::logs::Said;
use crate::run::RunId;
use crate::store::batches::Claim;
use crate::store::logs::{self, Page};
use crate::store::patiently;

/// Batches whose lines wait to be written. Beyond, lines are dropped and counted: a slow database must not fill the
/// memory.
const BACKLOG: usize = 256;
/// Batches written in one go.
const TOGETHER: usize = 64;
/// Between two writes: many small batches share one.
const PAUSE: Duration = Duration::from_millis(200);

/// Where the slots hand over.
pub(super) struct Desk {
    pages: mpsc::Sender<Page>,
    /// Lines that found no place, by run.
    lost: Mutex<HashMap<RunId, u64>>,
    /// Nothing comes any more.
    pub(super) closed: CancellationToken,
}

impl Desk {
    pub(super) fn new() -> (Self, mpsc::Receiver<Page>) {
        let (pages, inbox) = mpsc::channel(BACKLOG);
        (Self { pages, lost: Mutex::default(), closed: CancellationToken::new() }, inbox)
    }

    /// Takes what was said in an attempt; never waits.
    pub(super) fn hand_over(&self, claim: &Claim, lines: Vec<Said>) {
        if lines.is_empty() {
            return;
        }
        let page = Page { run: claim.batch.run_id, batch: claim.batch.id, epoch: claim.epoch, lines };
        if let Err(refused) = self.pages.try_send(page) {
            let page = refused.into_inner();
            self.lose(page.run, lines_of(&page));
        }
    }

    fn lose(&self, run: RunId, lines: u64) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner).entry(run).or_default() += lines;
    }

    fn lost(&self, run: RunId) -> u64 {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(&run).unwrap_or(0)
    }
}

/// Lines, and those in whose place lines stand.
fn lines_of(page: &Page) -> u64 {
    page.lines.iter().map(|said| said.dropped.max(1)).sum()
}

/// Writes until the desk is closed and empty.
pub(super) async fn write<DB: Backend>(engine: Arc<Engine<DB>>, mut inbox: mpsc::Receiver<Page>) {
    let closed = engine.desk.closed.clone();
    loop {
        let first = tokio::select! {
            biased;
            page = inbox.recv() => page,
            () = closed.cancelled() => inbox.try_recv().ok(),
        };
        let Some(first) = first else { return };
        let mut runs: HashMap<RunId, Vec<Page>> = HashMap::new();
        let rest = std::iter::from_fn(|| inbox.try_recv().ok()).take(TOGETHER);
        std::iter::once(first).chain(rest).for_each(|page| runs.entry(page.run).or_default().push(page));
        for (run, pages) in runs {
            put(&engine, run, &pages).await;
        }
        tokio::select! {
            () = closed.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn put<DB: Backend>(engine: &Engine<DB>, run: RunId, pages: &[Page]) {
    let lost = engine.desk.lost(run);
    let written = patiently!(
        DB,
        PATIENCE,
        async { ask_in_turn!(engine, |conn| logs::write::<DB>(conn, run, pages, lost)) }.await
    );
    if let Err(error) = written {
        tracing::warn!(run = run.0, %error, "what user code said could not be written down");
        engine.desk.lose(run, lost + pages.iter().map(lines_of).sum::<u64>());
    }
}
