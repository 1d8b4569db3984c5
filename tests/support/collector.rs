//! What this crate tells `tracing`, collected for the thread of one test: the slots, the planner, the sweeps and the
//! hooks of a worker that was started in it. The lease has a thread of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static WITHIN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Every event as a line: level, message, its fields, and those of the spans that it was sent from.
#[derive(Clone, Default)]
pub struct Collector(Arc<Parts>);

#[derive(Default)]
struct Parts {
    events: Mutex<Vec<String>>,
    spans: Mutex<HashMap<u64, String>>,
    next: AtomicU64,
}

impl Collector {
    /// Collects until the guard is dropped.
    pub fn start() -> (Self, DefaultGuard) {
        let collector = Self::default();
        let guard = tracing::subscriber::set_default(collector.clone());
        (collector, guard)
    }

    /// Events that contain all of these.
    pub fn with(&self, parts: &[&str]) -> Vec<String> {
        let events = self.0.events.lock().unwrap();
        events.iter().filter(|event| parts.iter().all(|part| event.contains(part))).cloned().collect()
    }
}

/// ` name=value` after each other; the message without its name.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?} "),
        };
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("data_drip")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut line = Line(format!(" in {}:", span.metadata().name()));
        span.record(&mut line);
        self.0.spans.lock().unwrap().insert(id, line.0);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        let spans = self.0.spans.lock().unwrap();
        WITHIN.with_borrow(|within| within.iter().for_each(|id| line.0.push_str(&spans[id])));
        self.0.events.lock().unwrap().push(line.0);
    }

    fn enter(&self, span: &Id) {
        WITHIN.with_borrow_mut(|within| within.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        WITHIN.with_borrow_mut(|within| within.retain(|id| *id != span.into_u64()));
    }
}
