//! Who watches which page, and the tasks that look. A task lives as long as somebody watches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::parts::{Parts, parts};
use crate::dashboard::auth::Visitor;
use crate::dashboard::engine::Engine;
use crate::dashboard::page::{Page, Topic};
use crate::error::{Error, ErrorKind};

/// Between two looks at a page on which something moves.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks at a page on which nothing does: somebody may start something.
const IDLE: Duration = Duration::from_secs(5);
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
    topics: Mutex<HashMap<Topic, watch::Sender<Option<Arc<Look>>>>>,
}

impl Hub {
    pub(in crate::dashboard) fn new(engine: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { engine, topics: Mutex::default() })
    }

    /// Cancelled when the host shuts down.
    pub(super) fn closing(&self) -> CancellationToken {
        self.engine.closing()
    }

    /// Joins those who watch this page.
    pub(super) fn watch(self: &Arc<Self>, topic: &Topic) -> Watched {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        match topics.entry(topic.clone()) {
            Entry::Occupied(watched) => watched.get().subscribe(),
            Entry::Vacant(place) => {
                let (sender, receiver) = watch::channel(None);
                place.insert(sender.clone());
                tokio::spawn(Arc::clone(self).follow(topic.clone(), sender));
                receiver
            }
        }
    }

    /// Looks until nobody watches.
    async fn follow(self: Arc<Self>, topic: Topic, sender: watch::Sender<Option<Arc<Look>>>) {
        let closing = self.engine.closing();
        loop {
            let began = Instant::now();
            let look = Look::at(&topic, &*self.engine).await;
            let interval = if look.is_moving() { INTERVAL } else { IDLE };
            let rest = interval.max(began.elapsed().saturating_mul(SHARE));
            sender.send_replace(Some(Arc::new(look)));
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = sender.closed() => {}
                () = closing.cancelled() => {}
            }
            if (sender.is_closed() || closing.is_cancelled()) && self.forget(&topic) {
                return;
            }
        }
    }

    /// Whether nobody watches the page; then its task is done. Who comes now starts a new one.
    fn forget(&self, topic: &Topic) -> bool {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let closing = self.engine.closing().is_cancelled();
        let deserted = topics.get(topic).is_none_or(watch::Sender::is_closed);
        if deserted || closing {
            topics.remove(topic);
        }
        deserted || closing
    }

    /// Pages that are looked at now.
    #[cfg(test)]
    pub(in crate::dashboard) fn watched(&self) -> usize {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).len()
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

    fn is_moving(&self) -> bool {
        matches!(self, Self::Found(snapshot) if snapshot.page.is_moving())
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
