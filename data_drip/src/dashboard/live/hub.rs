//! Who watches which page, and the tasks that load them. A task lives as long as somebody watches.
//!
//! All of them share one look at the database per interval (`pulse.rs`), which tells what has changed; a page is loaded
//! when something on it has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::parts::{Parts, parts};
use super::pulse::{INTERVAL, Pulse, Pulses};
use crate::dashboard::auth::Visitor;
use crate::dashboard::engine::Engine;
use crate::dashboard::page::{Page, Topic};
use crate::error::{Error, ErrorKind};
use crate::run::RunId;
use crate::store::marks::Marked;

/// A page on which something moves is loaded this often at least: time passes there even when nothing else happens.
const MOVING: Duration = Duration::from_secs(5);
/// And this often one on which nothing does: what is counted over the last days becomes less by itself.
const STILL: Duration = Duration::from_mins(1);
/// Looking takes one twentieth of the time at most, however great the tables are.
const SHARE: u32 = 20;

/// What one look found.
pub(super) enum Look {
    Found(Snapshot),
    /// There is no such run any more.
    Gone,
    /// The database did not answer.
    Away,
}

/// What makes the same page look different: where the dashboard is mounted, and whether its actions are shown.
type Eyes = (Arc<str>, bool);

/// A page at one moment, rendered once for everybody to whom it looks the same.
pub(super) struct Snapshot {
    page: Page,
    rendered: Mutex<HashMap<Eyes, Arc<Parts>>>,
}

/// The last look of a watched page; nothing before the first.
pub(super) type Watched = watch::Receiver<Option<Arc<Look>>>;

/// The watched pages of one dashboard.
pub(in crate::dashboard) struct Hub {
    engine: Arc<dyn Engine>,
    watching: Mutex<Watching>,
    pulses: watch::Sender<Pulse>,
}

#[derive(Default)]
struct Watching {
    topics: HashMap<Topic, Place>,
    /// Whether somebody asks for what has changed.
    beating: bool,
}

/// A watched page: who is told, and what it showed when it was loaded last.
struct Place {
    sender: Sender,
    about: Vec<Marked>,
}

type Sender = watch::Sender<Option<Arc<Look>>>;

impl Hub {
    pub(in crate::dashboard) fn new(engine: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { engine, watching: Mutex::default(), pulses: watch::Sender::default() })
    }

    /// Cancelled when the host shuts down.
    pub(super) fn closing(&self) -> CancellationToken {
        self.engine.closing()
    }

    fn watching(&self) -> MutexGuard<'_, Watching> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins those who watch this page.
    pub(super) fn watch(self: &Arc<Self>, topic: &Topic) -> Watched {
        let mut watching = self.watching();
        if !std::mem::replace(&mut watching.beating, true) {
            tokio::spawn(Arc::clone(self).beat());
        }
        match watching.topics.entry(topic.clone()) {
            Entry::Occupied(place) => place.get().sender.subscribe(),
            Entry::Vacant(place) => {
                let (sender, receiver) = watch::channel(None);
                place.insert(Place { sender: sender.clone(), about: Vec::new() });
                tokio::spawn(Arc::clone(self).follow(topic.clone(), sender));
                receiver
            }
        }
    }

    /// Asks for what has changed, until nobody watches any page.
    async fn beat(self: Arc<Self>) {
        let closing = self.engine.closing();
        let mut rest = INTERVAL;
        loop {
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = closing.cancelled() => {}
            }
            let Some(runs) = self.asked_for(&closing) else { return };
            let began = Instant::now();
            let pulse = Pulse::take(&*self.engine, runs).await;
            self.pulses.send_replace(pulse);
            rest = INTERVAL.max(began.elapsed().saturating_mul(SHARE));
        }
    }

    /// The runs on watched pages; `None` when there are no such pages any more.
    fn asked_for(&self, closing: &CancellationToken) -> Option<Vec<RunId>> {
        let mut watching = self.watching();
        if watching.topics.is_empty() || closing.is_cancelled() {
            watching.beating = false;
            self.pulses.send_replace(Pulse::None);
            return None;
        }
        let about = watching.topics.values().flat_map(|place| &place.about);
        let mut runs: Vec<_> = about.filter_map(|marked| marked.run()).collect();
        runs.sort_unstable();
        runs.dedup();
        Some(runs)
    }

    /// Loads a page again and again, until nobody watches it.
    async fn follow(self: Arc<Self>, topic: Topic, sender: Sender) {
        let closing = self.engine.closing();
        let mut pulses = self.pulses.subscribe();
        loop {
            // What is known now was so before the page is loaded: what changes in between is noticed afterwards.
            let known = pulses.borrow_and_update().clone();
            let began = Instant::now();
            let look = if known.is_away() { Look::Away } else { Look::at(&topic, &*self.engine).await };
            let rest = began.elapsed().saturating_mul(SHARE);
            let (about, most) = (look.about(), look.most());
            self.note(&topic, &about);
            sender.send_replace(Some(Arc::new(look)));
            tokio::select! {
                () = news(&mut pulses, &known, &about, rest) => {}
                () = tokio::time::sleep(rest.max(most)) => {}
                () = sender.closed() => {}
                () = closing.cancelled() => {}
            }
            if (sender.is_closed() || closing.is_cancelled()) && self.forget(&topic) {
                return;
            }
        }
    }

    /// What to ask for, for this page.
    fn note(&self, topic: &Topic, about: &[Marked]) {
        if let Some(place) = self.watching().topics.get_mut(topic) {
            place.about = about.to_vec();
        }
    }

    /// Whether nobody watches the page; then its task is done. Who comes now starts a new one.
    fn forget(&self, topic: &Topic) -> bool {
        let mut watching = self.watching();
        let closing = self.engine.closing().is_cancelled();
        let deserted = watching.topics.get(topic).is_none_or(|place| place.sender.is_closed());
        if deserted || closing {
            watching.topics.remove(topic);
        }
        deserted || closing
    }

    /// Pages that are looked at now.
    #[cfg(test)]
    pub(in crate::dashboard) fn watched(&self) -> usize {
        self.watching().topics.len()
    }

    /// Whether it is asked what has changed.
    #[cfg(test)]
    pub(in crate::dashboard) fn asks(&self) -> bool {
        self.watching().beating
    }
}

/// Waits for `rest`, and then until what a page is about has changed since `known`.
async fn news(pulses: &mut Pulses, known: &Pulse, about: &[Marked], rest: Duration) {
    tokio::time::sleep(rest).await;
    let outdated = pulses.wait_for(|now| known.is_outdated_by(now, about)).await.is_ok();
    if !outdated {
        // There is no hub any more, and nothing to wait for.
        std::future::pending::<()>().await;
    }
}

impl Look {
    async fn at(topic: &Topic, engine: &dyn Engine) -> Self {
        match topic.load(engine).await {
            Ok(page) => Self::Found(Snapshot { page, rendered: Mutex::default() }),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::Gone,
            Err(error) => Self::away(&error),
        }
    }

    fn away(error: &Error) -> Self {
        tracing::warn!(%error, "a watched page could not be read");
        Self::Away
    }

    fn about(&self) -> Vec<Marked> {
        match self {
            Self::Found(snapshot) => snapshot.page.about().to_vec(),
            Self::Gone | Self::Away => Vec::new(),
        }
    }

    /// How long it may be shown, when nothing changes.
    fn most(&self) -> Duration {
        match self {
            Self::Found(snapshot) if !snapshot.page.is_moving() => STILL,
            Self::Gone => STILL,
            Self::Found(_) | Self::Away => MOVING,
        }
    }
}

impl Snapshot {
    /// The page's live parts as this visitor sees them.
    pub(super) fn parts(&self, visitor: &Visitor) -> Option<Arc<Parts>> {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        match rendered.entry((Arc::clone(&visitor.base), visitor.may_act)) {
            Entry::Occupied(known) => Some(Arc::clone(known.get())),
            Entry::Vacant(place) => {
                let html = self.page.html(visitor).ok()?;
                Some(Arc::clone(place.insert(Arc::new(parts(&html)))))
            }
        }
    }
}
