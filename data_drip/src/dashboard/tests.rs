//! Pages over an engine that is made up: states that are hard to bring about with a real one, and attacks.
//! What needs the run API itself is in the crate's `tests/dashboard.rs`.

mod api;
mod fake;
mod gate;
mod live;
mod pages;
mod snapshots;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use self::fake::Fake;
use super::{Access, App, Dashboard};
use crate::run::{Backfiller, Run, Total};

/// Who the tests say they are: `x-access: look`, `act` or nothing.
async fn who(headers: HeaderMap) -> Access {
    let somebody = Backfiller::new(1, "Grace");
    match headers.get("x-access").map(HeaderValue::as_bytes) {
        Some(b"act") => Access::Act(somebody),
        Some(b"look") => Access::Look(somebody),
        _ => Access::Denied,
    }
}

fn dashboard(fake: &Arc<Fake>) -> Dashboard {
    Dashboard { app: App::new(Arc::clone(fake) as _), base_path: None }
}

struct Page {
    status: StatusCode,
    headers: HeaderMap,
    html: String,
}

impl Page {
    /// What a reader sees of it: tags gone, entities decoded, blanks folded.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.html.as_str();
        while let Some((before, tag)) = rest.split_once('<') {
            text.push_str(before);
            rest = tag.split_once('>').map_or("", |(_, rest)| rest);
        }
        text.push_str(rest);
        decoded(&text).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn decoded(html: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")]
        .iter()
        .fold(html.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

async fn send(app: Router, request: Request<Body>) -> Page {
    let response = app.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Page { status: parts.status, headers: parts.headers, html: String::from_utf8(bytes.to_vec()).unwrap() }
}

async fn get(fake: &Arc<Fake>, path: &str) -> Page {
    let request = Request::get(path).header("x-access", "act").body(Body::empty()).unwrap();
    send(dashboard(fake).router(who), request).await
}

async fn post(fake: &Arc<Fake>, path: &str, form: &str) -> Page {
    let request = Request::post(path)
        .header("x-access", "act")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    send(dashboard(fake).router(who), request).await
}

/// A run that runs, so far.
pub(super) fn running(total: u64, processed: u64, exact: bool) -> Run {
    let mut run = fake::run(3);
    run.total = Some(Total { count: total, exact });
    run.counts.processed = processed;
    run
}
