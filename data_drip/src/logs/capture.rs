//! Holding on to what is said in a batch until it has ended: bounded, and nothing at all when nothing is said.
#![cfg_attr(not(feature = "logs"), allow(dead_code, reason = "without the layer nothing is heard"))]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::LogLevel;
use crate::options::Mask;

/// Lines kept from the beginning of a batch, and from its end: how it began, and what came before it failed.
const FIRST: usize = 100;
const LAST: usize = 100;
/// Characters of a message, and of a field's value.
const MESSAGE: usize = 4_000;
const VALUE: usize = 1_000;
const FIELDS: usize = 32;

tokio::task_local! {
    /// The batch whose user code this task runs.
    static CURRENT: Capture;
}

/// Batches that are listened to now: an event outside of all costs one look at this.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// Something that was said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) at: DateTime<Utc>,
    pub(crate) level: LogLevel,
    pub(crate) target: String,
    pub(crate) message: String,
    pub(crate) fields: Map<String, Value>,
    /// Lines in whose place this one stands.
    pub(crate) dropped: u64,
}

/// The ear of one attempt at a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    mask: OnceLock<Mask>,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    first: Vec<Said>,
    last: VecDeque<Said>,
    dropped: u64,
    /// The batch has ended: what tasks left behind say now belongs to nothing.
    ended: bool,
}

impl Capture {
    /// Listens to `work`, and hides what is masked.
    pub(crate) async fn hear<F: Future>(&self, mask: &Mask, work: F) -> F::Output {
        struct Listening;
        impl Drop for Listening {
            fn drop(&mut self) {
                LISTENING.fetch_sub(1, Ordering::Relaxed);
            }
        }
        // Set once: an attempt runs user code once.
        let _ = self.0.mask.set(mask.clone());
        LISTENING.fetch_add(1, Ordering::Relaxed);
        let _listening = Listening;
        CURRENT.scope(self.clone(), work).await
    }

    /// Whether any batch of this process is listened to.
    pub(super) fn is_anybody_listening() -> bool {
        LISTENING.load(Ordering::Relaxed) > 0
    }

    /// The batch that this task works on.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Keeps a line, masked and cut.
    pub(super) fn keep(&self, mut said: Said) {
        let nothing = Mask::default();
        let mask = self.0.mask.get().unwrap_or(&nothing);
        said.message = cut(&mask.hide(&said.message), MESSAGE);
        said.target = cut(&mask.hide(&said.target), VALUE);
        said.fields = said.fields.into_iter().take(FIELDS).map(|(name, value)| (name, shown(mask, value))).collect();
        self.heard().keep(said);
    }

    /// Everything that was kept, with a line for what was not; nothing is kept after it.
    pub(crate) fn take(&self) -> Vec<Said> {
        let mut heard = self.heard();
        heard.ended = true;
        let mut said = std::mem::take(&mut heard.first);
        let dropped = std::mem::take(&mut heard.dropped);
        if dropped > 0 {
            said.push(gap(dropped, said.last().map_or_else(Utc::now, |last| last.at)));
        }
        said.extend(std::mem::take(&mut heard.last));
        said
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        // Nothing panics while it is held.
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn keep(&mut self, said: Said) {
        if self.ended {
            return;
        }
        if self.first.len() < FIRST {
            self.first.push(said);
            return;
        }
        if self.last.len() == LAST {
            self.last.pop_front();
            self.dropped += 1;
        }
        self.last.push_back(said);
    }
}

/// Stands where lines were dropped.
fn gap(dropped: u64, at: DateTime<Utc>) -> Said {
    Said {
        at,
        level: LogLevel::Warn,
        target: "data_drip".to_owned(),
        message: format!("{dropped} lines were left out here: a batch keeps its first {FIRST} and its last {LAST}"),
        fields: Map::new(),
        dropped,
    }
}

fn shown(mask: &Mask, value: Value) -> Value {
    match value {
        Value::String(text) => cut(&mask.hide(&text), VALUE).into(),
        Value::Number(number) if !mask.is_empty() => {
            let text = number.to_string();
            if mask.hide(&text) == text.as_str() { number.into() } else { mask.hide(&text).into() }
        }
        other => other,
    }
}

/// Cut between characters; without NUL, which not every database keeps.
fn cut(text: &str, most: usize) -> String {
    let (text, cut) = match text.char_indices().nth(most) {
        Some((at, _)) => (&text[..at], "…"),
        None => (text, ""),
    };
    format!("{}{cut}", text.replace('\0', "\u{2400}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: impl Into<String>) -> Said {
        Said {
            at: Utc::now(),
            level: LogLevel::Info,
            target: "here".into(),
            message: message.into(),
            fields: Map::new(),
            dropped: 0,
        }
    }

    #[test]
    fn the_first_and_the_last_lines_are_kept_and_what_lies_between_is_counted() {
        let capture = Capture::default();
        (0..1_000).for_each(|n| capture.keep(said(n.to_string())));
        let lines = capture.take();
        assert_eq!(lines.len(), FIRST + 1 + LAST);
        assert_eq!((lines[0].message.as_str(), lines[FIRST].dropped), ("0", 800));
        assert_eq!(lines[FIRST + 1].message, "900");
        assert_eq!(lines.last().unwrap().message, "999");
        capture.keep(said("too late"));
        assert!(capture.take().is_empty());
    }

    #[tokio::test]
    async fn what_is_masked_is_hidden_before_anything_is_cut() {
        let fields = [crate::options::Field::of::<String>("token").masked()];
        let mask = Mask::of(&fields, &Map::from_iter([("token".to_owned(), Value::from("s3cret"))]));
        let capture = Capture::default();
        let long = format!("{}s3cret", "x".repeat(MESSAGE - 3));
        capture
            .hear(&mask, async {
                let mut line = said(long);
                line.fields.insert("key".into(), "s3cret!".into());
                Capture::current().unwrap().keep(line);
            })
            .await;
        let lines = capture.take();
        assert!(!lines[0].message.contains("s3"), "half of a secret is left");
        assert_eq!(lines[0].fields["key"], "•••!");
        assert!(Capture::current().is_none());
    }
}
