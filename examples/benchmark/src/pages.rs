//! How long each page of the dashboard takes when there are many runs and batches.
//!
//! What measures knows nothing of the database: another one needs a [`fill`] of its own, and the rest is as it is.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use data_drip::DataDrip;
use data_drip::backend::Backend;
use data_drip::dashboard::Access;
use data_drip::{Backfiller, RunId};
use http_body_util::BodyExt;
use sqlx::{AssertSqlSafe, SqlitePool};
use tower::ServiceExt;

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

/// Fills DataDrip's own tables on SQLite: settled runs, one in twenty of them failed, and a great one that is running, its
/// last batches an instant ago.
pub(crate) async fn fill(pool: &SqlitePool, amount: Amount) -> Result<()> {
    let Amount { runs, batches, great } = amount;
    let each = (batches - great) / (runs - 1);
    let script = format!(
        "BEGIN;
         CREATE TEMP TABLE moment AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})
         INSERT INTO data_drip_backfill_runs (
             id, backfill, options, active_key, batch_size, sleep_ms, queue, max_attempts, status, backfiller_id,
             backfiller_name, created_at, started_at, finished_at, prepared, key_spec, planned, planned_batches,
             planned_elements, total, total_exact, processed
         )
         SELECT i, CASE WHEN i % 40 = 0 THEN 'add_role' ELSE 'backfill_' || (i % 40) END, '{{}}',
             CASE WHEN i = {runs} THEN 'great' END, 1000, 0, 'default', 1,
             CASE WHEN i = {runs} THEN 'running' WHEN i % 20 = 0 THEN 'failed' ELSE 'completed' END,
             'p' || (i % 25), 'Person ' || (i % 25), moment.now - ({runs} - i) * 300000 - 3600000,
             moment.now - ({runs} - i) * 300000 - 3600000,
             CASE WHEN i < {runs} THEN moment.now - ({runs} - i) * 300000 - 3000000 END,
             1, '{{\"schema\":null,\"table\":\"employees\",\"columns\":[\"id\"]}}', 1,
             CASE WHEN i = {runs} THEN {great} ELSE {each} END, CASE WHEN i = {runs} THEN {great} ELSE {each} END * 1000,
             CASE WHEN i = {runs} THEN {great} ELSE {each} END * 1000, 1,
             CASE WHEN i < {runs} THEN ({each} - CASE WHEN i % 20 = 0 THEN {each} / 20 ELSE 0 END) * 1000 END
         FROM n, moment;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each})
         INSERT INTO data_drip_backfill_run_batches (
             run_id, position, after_key, upto_key, planned_size, processed, status, due_at, attempts, worker, epoch, error,
             started_at, finished_at
         )
         SELECT r.id, i, CASE WHEN i > 1 THEN '[{{\"t\":\"integer\",\"v\":\"' || ((i - 1) * 1000) || '\"}}]' END,
             '[{{\"t\":\"integer\",\"v\":\"' || (i * 1000) || '\"}}]', 1000,
             CASE WHEN r.status = 'completed' OR i % 20 > 0 THEN 1000 END,
             CASE WHEN r.status = 'completed' OR i % 20 > 0 THEN 'completed' ELSE 'failed' END, 0,
             r.status = 'failed' AND i % 20 = 0, 'worker', 1,
             CASE WHEN r.status = 'failed' AND i % 20 = 0 THEN 'row ' || i || ': no such zone' || char(10) || 'caused by: x' END,
             r.started_at + i * 9000 - 500, r.started_at + i * 9000
         FROM data_drip_backfill_runs r, n WHERE r.id < {runs};
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {great})
         INSERT INTO data_drip_backfill_run_batches (
             run_id, position, after_key, upto_key, planned_size, processed, status, due_at, worker, epoch, started_at,
             finished_at
         )
         SELECT {runs}, i, CASE WHEN i > 1 THEN '[{{\"t\":\"integer\",\"v\":\"' || ((i - 1) * 1000) || '\"}}]' END,
             '[{{\"t\":\"integer\",\"v\":\"' || (i * 1000) || '\"}}]', 1000, CASE WHEN i <= {great} - 24 THEN 1000 END,
             CASE WHEN i <= {great} - 24 THEN 'completed' WHEN i <= {great} - 20 THEN 'running' ELSE 'pending' END, 0,
             CASE WHEN i <= {great} - 20 THEN 'worker' END, 1,
             CASE WHEN i <= {great} - 20 THEN moment.now - ({great} - i) * 3600000 / {great} - 500 END,
             CASE WHEN i <= {great} - 24 THEN moment.now - ({great} - i) * 3600000 / {great} END
         FROM n, moment;
         INSERT INTO data_drip_run_events (run_id, at, action, backfiller_id, backfiller_name)
         SELECT id, created_at, 'enqueued', backfiller_id, backfiller_name FROM data_drip_backfill_runs;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO data_drip_run_logs (run_id, batch_id, claim, at, level, target, message, fields, dropped)
         SELECT b.run_id, b.id, 1, b.finished_at, 3 - (i % 50 = 0), 'backfills', 'a line', '{{\"row\":' || i || '}}', 0
         FROM n JOIN data_drip_backfill_run_batches b ON b.run_id = {runs} AND b.position = i;
         INSERT INTO data_drip_run_log_totals VALUES ({runs}, 10000, 12345);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
         INSERT INTO data_drip_workers
         SELECT CASE WHEN i = 1 THEN 'worker' ELSE 'worker ' || i END, 'host', i, '0.1.0', 4, '[]', 9, now - 9000000,
             now - i * 900000, now + 30000000 - i * 3000000
         FROM n, moment;
         COMMIT;
         ANALYZE"
    );
    sqlx::raw_sql(AssertSqlSafe(script)).execute(pool).await.context("the tables could not be filled")?;
    Ok(())
}

/// Asks for each page again and again; the medians, as the server's time from request to the last byte.
pub(crate) async fn measure<DB: Backend>(drip: &DataDrip<DB>, amount: Amount) -> Result<Table> {
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
