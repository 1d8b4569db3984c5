//! How long each page of the dashboard takes when there are many runs and batches.
//!
//! What measures knows nothing of the database: another one needs its words in `fill.rs`, and the rest is as it is.

mod fill;
mod streams;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use data_drip::DataDrip;
use data_drip::backend::Backend;
use data_drip::dashboard::Access;
use data_drip::{Backfiller, RunId};
use http_body_util::BodyExt;
use sqlx::{MySql, Pool, Postgres};
use tower::ServiceExt;

use self::fill::Filled;
use crate::server::{self, Place, Server};
use crate::table::{Table, grouped, median, millis};

/// How much there is to look at.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) runs: u64,
    /// In all.
    pub(crate) batches: u64,
    /// Of the one run that is being worked on.
    pub(crate) great: u64,
}

impl Amount {
    pub(crate) const FULL: Self = Self { runs: 10_000, batches: 1_000_000, great: 400_000 };
    pub(crate) const QUICK: Self = Self { runs: 1_000, batches: 50_000, great: 20_000 };
}

/// Requests for each page.
const REQUESTS: usize = 31;

/// The same on the servers that are named, by the variables that `bin/with-servers` sets.
pub(crate) async fn on_servers(amount: Amount) -> Result<()> {
    on_server::<Postgres>(amount).await?;
    on_server::<MySql>(amount).await
}

async fn on_server<DB: Filled + Server>(amount: Amount) -> Result<()> {
    let Ok(url) = std::env::var(DB::VARIABLE) else {
        println!("Not on {}: {} is not set.\n", DB::WORD, DB::VARIABLE);
        return Ok(());
    };
    let place = Place::<DB>::new(&url).await?;
    let outcome = on_place(&place, amount).await;
    place.leave().await?;
    outcome
}

async fn on_place<DB: Filled + Server>(place: &Place<DB>, amount: Amount) -> Result<()> {
    println!("### {}\n", DB::heading(&mut *place.server().await?).await?);
    place.fresh(10_000).await?;
    let pool = server::pool::<DB>(place.work());
    report(&server::drip(pool.clone(), 1).await?, &pool, amount).await?;
    pool.close().await;
    Ok(())
}

/// Fills the tables, asks for each page and watches some.
pub(crate) async fn report<DB: Filled>(drip: &DataDrip<DB>, pool: &Pool<DB>, amount: Amount) -> Result<()> {
    fill::fill(pool, amount).await?;
    println!("{}", measure(drip, amount).await?);
    println!("{}", streams::measure(drip, pool, amount).await?);
    Ok(())
}

/// Asks for each page again and again; the medians, as the server's time from request to the last byte.
async fn measure<DB: Backend>(drip: &DataDrip<DB>, amount: Amount) -> Result<Table> {
    let app = drip.dashboard::<_, (), _>(async || Access::Act(Backfiller::new("p1", "Person 1")));
    let mut table = Table::new(["page", "first", "median", "slowest", "bytes"]);
    for (name, method, path, body) in pages(RunId(i64::try_from(amount.runs)?), amount) {
        let mut times = Vec::with_capacity(REQUESTS);
        let mut bytes = 0;
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            bytes = ask(&app, method, &path, body).await?;
            times.push(begun.elapsed());
        }
        let slowest = times.iter().skip(1).max().copied().unwrap_or(Duration::ZERO);
        let usual = median(&times).unwrap_or(Duration::ZERO);
        table.row([&name, &millis(times[0]), &millis(usual), &millis(slowest), &grouped(bytes)]);
    }
    Ok(table)
}

async fn ask(app: &Router, method: &str, path: &str, body: Option<&'static str>) -> Result<u64> {
    let mut request = Request::builder().method(method).uri(path);
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let response = app.clone().oneshot(request.body(body.map_or_else(Body::empty, Body::from))?).await?;
    ensure!(response.status().is_success(), "{method} {path}: {}", response.status());
    Ok(response.into_body().collect().await?.to_bytes().len() as u64)
}

type Asked = (&'static str, &'static str, String, Option<&'static str>);

fn pages(great: RunId, amount: Amount) -> Vec<Asked> {
    let get = |name, path: String| (name, "GET", path, None);
    let (small, failed, middle) = (amount.runs / 2 + 1, amount.runs / 2 / 20 * 20, amount.great / 2);
    let preview = r#"{"backfill":"add_role"}"#;
    vec![
        get("runs", "/backfill_runs".into()),
        get("runs, an older page", format!("/backfill_runs?before={}", amount.runs / 2)),
        get("runs, failed ones", "/backfill_runs?status=failed".into()),
        get("runs of a person", "/backfill_runs?person=p7".into()),
        get("runs, searched", "/backfill_runs?search=fill_1".into()),
        get("runs, searched in vain", "/backfill_runs?search=nonesuch".into()),
        get("the great run", format!("/backfill_runs/{great}")),
        get("the great run, newest batches", format!("/backfill_runs/{great}?order=newest")),
        get("the great run, batches from the middle", format!("/backfill_runs/{great}?after={middle}")),
        get("the great run, running batches", format!("/backfill_runs/{great}?batch_status=running")),
        get("the great run, warnings", format!("/backfill_runs/{great}?level=warn")),
        get("a batch of it", format!("/backfill_runs/{great}/batches/{middle}")),
        get("a completed run", format!("/backfill_runs/{small}")),
        get("a failed run", format!("/backfill_runs/{failed}?batch_status=failed")),
        get("backfills", "/backfills".into()),
        get("workers", "/workers".into()),
        get("new run: the picker", "/backfill_runs/new".into()),
        get("new run: the form", "/backfill_runs/new?backfill=add_role".into()),
        get("API: runs", "/api/v1/backfill_runs".into()),
        get("API: the great run", format!("/api/v1/backfill_runs/{great}")),
        get("API: its logs", format!("/api/v1/backfill_runs/{great}/logs?limit=500")),
        get("API: backfills", "/api/v1/backfills".into()),
        ("API: preview of 10,000 rows", "POST", "/api/v1/backfill_runs/preview".into(), Some(preview)),
    ]
}
