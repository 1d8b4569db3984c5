//! One stream per open page.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::hub::{Hub, Look, Watched};
use super::parts::{Part, changed};
use crate::dashboard::auth::Visitor;
use crate::dashboard::page::Topic;

/// A stream ends after this time and the browser asks anew: so whoever lost the right to look is noticed.
const LIFE: Duration = Duration::from_mins(5);
/// Proxies close what is silent for long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Tells what changes on a page, until the reader leaves or the host shuts down.
pub(in crate::dashboard) fn stream(hub: &Arc<Hub>, visitor: Visitor, topic: &Topic) -> Response {
    let watched = hub.watch(topic);
    // Room for one: a reader who is slow gets the latest later, not all of it.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(tell(watched, visitor, sender, hub.closing()));
    let events = Sse::new(Events(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // nginx would collect the events to send them together.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    ([unbuffered], events).into_response()
}

async fn tell(mut watched: Watched, visitor: Visitor, sender: mpsc::Sender<Event>, closing: CancellationToken) {
    let mut told: Vec<Part> = Vec::new();
    let end = tokio::time::sleep(LIFE);
    tokio::pin!(end);
    loop {
        let look = watched.borrow_and_update().clone();
        let event = look.as_deref().and_then(|look| news(look, &visitor, &mut told));
        let gone = matches!(look.as_deref(), Some(Look::Gone));
        if let Some(event) = event {
            let sent = tokio::select! {
                sent = sender.send(event) => sent.is_ok(),
                () = closing.cancelled() => false,
            };
            if !sent || gone {
                return;
            }
        }
        tokio::select! {
            changed = watched.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
            () = closing.cancelled() => return,
            () = &mut end => return,
        }
    }
}

#[derive(Serialize)]
struct News<'a> {
    parts: Vec<&'a Part>,
}

/// What to say after a look; nothing when nothing changed.
fn news(look: &Look, visitor: &Visitor, told: &mut Vec<Part>) -> Option<Event> {
    match look {
        Look::Gone => Some(word("gone")),
        Look::Away => {
            // Everything is told again afterwards, so that the reader sees that the page is back.
            told.clear();
            Some(word("away"))
        }
        Look::Found(snapshot) => {
            let now = snapshot.parts(visitor)?;
            let parts = changed(told, &now);
            let event = Event::default().event("parts").json_data(News { parts: parts.clone() }).ok();
            let event = event.filter(|_| !parts.is_empty());
            *told = now.to_vec();
            event
        }
    }
}

/// An event that says nothing but its name. Browsers drop events without data.
fn word(name: &str) -> Event {
    Event::default().event(name).data(name)
}

struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}
