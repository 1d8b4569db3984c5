//! The layer that hears what user code says.

use std::error::Error;
use std::fmt;

use chrono::Utc;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::{Capture, LogLevel, Said};

/// Keeps what user code says inside batches, from `INFO` on; see [the module](crate::logs).
pub fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    layer_at(Level::INFO)
}

/// As [`layer`], from `level` on: `Level::DEBUG` keeps more, `Level::WARN` less.
pub fn layer_at<S>(level: Level) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // A filter of its own: otherwise it would enable every event of the process, for everybody.
    Ear.with_filter(LevelFilter::from_level(level))
}

struct Ear;

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Ear {
    /// A span remembers the batch that it was opened in, for tasks and threads that enter it.
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !Capture::is_anybody_listening() {
            return;
        }
        if let (Some(capture), Some(span)) = (Capture::current(), context.span(id)) {
            span.extensions_mut().insert(capture);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !Capture::is_anybody_listening() {
            return;
        }
        let of_span = || {
            let mut spans = context.event_scope(event)?;
            spans.find_map(|span| span.extensions().get::<Capture>().cloned())
        };
        if let Some(capture) = Capture::current().or_else(of_span) {
            capture.keep(said(event));
        }
    }
}

fn said(event: &Event<'_>) -> Said {
    let mut reader = Reader::default();
    event.record(&mut reader);
    Said {
        at: Utc::now(),
        level: level(*event.metadata().level()),
        target: reader.target.unwrap_or_else(|| event.metadata().target().to_owned()),
        message: reader.message,
        fields: reader.fields,
        dropped: 0,
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

/// Reads an event's fields; `message` is the text, and what the `log` crate's bridge adds is no field of the event.
#[derive(Default)]
struct Reader {
    message: String,
    target: Option<String>,
    fields: Map<String, Value>,
}

impl Reader {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            "log.target" => self.target = value.as_str().map(str::to_owned),
            "log.module_path" | "log.file" | "log.line" => {}
            name => drop(self.fields.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Reader {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN.
        self.put(field, serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::from));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut texts = vec![value.to_string()];
        let mut cause = value.source();
        while let Some(error) = cause {
            texts.push(error.to_string());
            cause = error.source();
        }
        self.put(field, texts.join(": ").into());
    }
}
