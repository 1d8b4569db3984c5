//! Streams: who is told what, how often the database is asked, and when they end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use http::{Request, header};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::fake::Fake;
use super::{dashboard, who};

/// An open stream, read event by event.
struct Watcher {
    body: BodyDataStream,
    text: String,
}

impl Watcher {
    async fn new(app: &Router, path: &str, access: &str) -> Self {
        use tower::ServiceExt;
        let request = Request::get(path).header("x-access", access).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY), "it passed the gate");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event's name and data; `None` at the end.
    async fn next(&mut self) -> Option<(String, String)> {
        // As long as anything may take; nothing waits this long unless it fails.
        tokio::time::timeout(Duration::from_mins(1), self.read()).await.expect("the stream says nothing")
    }

    async fn read(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let found = line("event: ").map(|name| (name, line("data: ").unwrap_or_default()));
                self.text = rest.to_owned();
                match found {
                    Some(found) => return Some(found),
                    // A comment that keeps the connection open.
                    None => continue,
                }
            }
            let chunk = std::future::poll_fn(|context| {
                futures_core::Stream::poll_next(std::pin::Pin::new(&mut self.body), context)
            });
            let bytes = chunk.await?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The ids of the parts in the next event, and all their HTML.
    async fn parts(&mut self) -> (Vec<String>, String) {
        let (name, data) = self.next().await.expect("the stream goes on");
        assert_eq!(name, "parts");
        let data: Value = serde_json::from_str(&data).unwrap();
        let parts = data["parts"].as_array().unwrap();
        let text = |part: &Value, name: &str| part[name].as_str().unwrap().to_owned();
        (parts.iter().map(|part| text(part, "id")).collect(), parts.iter().map(|part| text(part, "html")).collect())
    }
}

#[tokio::test]
async fn however_many_watch_the_database_is_asked_once_and_each_is_told_what_changed() {
    let fake = Arc::new(Fake { permits: Some(Semaphore::new(1)), ..Fake::new() });
    let dashboard = dashboard(&fake);
    let app: Router = dashboard.router(who);
    let mut watchers = Vec::new();
    for _ in 0..200 {
        watchers.push(Watcher::new(&app, "/backfill_runs/3/live", "act").await);
    }
    for watcher in &mut watchers {
        let (ids, html) = watcher.parts().await;
        assert!(ids.contains(&"live-head".to_owned()) && html.contains("345,678"), "all of it at first");
    }
    assert_eq!(fake.looks.load(Ordering::Relaxed), 1);
    assert_eq!(dashboard.app.hub.watched(), 1);

    fake.more.store(1, Ordering::Relaxed);
    fake.permits.as_ref().unwrap().add_permits(1);
    for watcher in &mut watchers {
        let (ids, html) = watcher.parts().await;
        assert_eq!(ids, ["live-progress"], "nothing else has changed");
        assert!(html.contains("345,679"));
    }
    assert_eq!(fake.looks.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_page_is_loaded_when_something_on_it_has_changed_and_one_look_tells_for_all_pages() {
    let fake = Arc::new(Fake::new());
    let app: Router = dashboard(&fake).router(who);
    // Settled runs, each watched by somebody.
    let mut watchers = Vec::new();
    for id in (5..=40).step_by(7) {
        let mut watcher = Watcher::new(&app, &format!("/backfill_runs/{id}/live"), "act").await;
        watcher.parts().await;
        watchers.push(watcher);
    }
    let pages = watchers.len() as u64;
    let pulses = async |many| {
        let until = fake.pulses.load(Ordering::Relaxed) + many;
        while fake.pulses.load(Ordering::Relaxed) < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // A page rests for as long as its load says, before it is loaded again.
    let loaded = async |many| {
        while fake.looks.load(Ordering::Relaxed) < many {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Once more each, since what changed before the first look is not known.
    loaded(2 * pages).await;
    pulses(3).await;
    assert_eq!(fake.looks.load(Ordering::Relaxed), 2 * pages, "nothing has changed");
    fake.more.store(1, Ordering::Relaxed);
    loaded(3 * pages).await;
    pulses(2).await;
    assert_eq!(fake.looks.load(Ordering::Relaxed), 3 * pages);
}

#[tokio::test]
async fn nobody_is_told_more_than_their_page_shows() {
    let fake = Arc::new(Fake::new());
    let app: Router = dashboard(&fake).router(who);
    let acting = Watcher::new(&app, "/backfill_runs/3/live", "act").await.parts().await.1;
    let looking = Watcher::new(&app, "/backfill_runs/3/live", "look").await.parts().await.1;
    assert!(acting.contains("/stop"));
    assert!(!looking.contains("/stop") && !looking.contains("data-ask"));
    assert!(!acting.contains("s3cret") && !looking.contains("s3cret"));
}

#[tokio::test]
async fn nobody_looks_when_nobody_watches() {
    let fake = Arc::new(Fake::new());
    let dashboard = dashboard(&fake);
    let app: Router = dashboard.router(who);
    let mut first = Watcher::new(&app, "/backfill_runs/3/live", "act").await;
    let mut second = Watcher::new(&app, "/backfill_runs/live?status=running", "act").await;
    first.parts().await;
    second.parts().await;
    assert_eq!(dashboard.app.hub.watched(), 2);
    drop((first, second));
    while dashboard.app.hub.watched() > 0 || dashboard.app.hub.asks() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_deleted_run_ends_its_stream_and_a_shutdown_ends_all() {
    let fake = Arc::new(Fake::new());
    let app: Router = dashboard(&fake).router(who);
    let mut run = Watcher::new(&app, "/backfill_runs/3/live", "act").await;
    let mut runs = Watcher::new(&app, "/backfill_runs/live", "look").await;
    run.parts().await;
    runs.parts().await;
    fake.deleted.store(true, Ordering::Relaxed);
    let (name, data) = run.next().await.unwrap();
    assert_eq!((name.as_str(), data.is_empty()), ("gone", false), "browsers drop events without data");
    assert_eq!(run.next().await, None);

    let mut other = Watcher::new(&app, "/backfill_runs/live", "act").await;
    other.parts().await;
    fake.closing.cancel();
    assert_eq!(other.next().await, None);
    assert_eq!(runs.next().await, None);
}

#[tokio::test]
async fn a_database_that_is_away_is_said_and_so_is_its_return() {
    let fake = Arc::new(Fake::new());
    let app: Router = dashboard(&fake).router(who);
    let mut watcher = Watcher::new(&app, "/backfill_runs/3/live", "act").await;
    watcher.parts().await;
    fake.down.store(true, Ordering::Relaxed);
    let (name, data) = watcher.next().await.unwrap();
    assert_eq!((name.as_str(), data.is_empty()), ("away", false), "browsers drop events without data");
    fake.down.store(false, Ordering::Relaxed);
    let (ids, _) = watcher.parts().await;
    assert!(ids.len() > 3, "all of it anew: {ids:?}");
}
