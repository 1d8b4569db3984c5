//! `/backfill_runs` and `/backfill_runs/{id}`: what is running, what has run, and what became of it.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::{Id, Params};
use crate::dashboard::auth::Visitor;
use crate::dashboard::engine::{From, LogFilter};
use crate::dashboard::page::{self, Topic, run, runs};
use crate::dashboard::problem::Problem;
use crate::dashboard::view::{BatchView, LogView, RunView};
use crate::dashboard::{App, live, templates};
use crate::error::{Error, ErrorKind};
use crate::run::RunId;

pub(super) async fn index(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Problem> {
    page::show(&*app, &visitor, &Topic::Runs(runs_query(&params)?)).await
}

pub(super) async fn index_live(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Problem> {
    Ok(live::stream(&app.hub, visitor, &Topic::Runs(runs_query(&params)?)))
}

pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Id(id): Id,
    params: Params,
) -> Result<Response, Problem> {
    page::show(&*app, &visitor, &Topic::Run(run_query(id, &params)?)).await
}

pub(super) async fn show_live(
    State(app): State<App>,
    visitor: Visitor,
    Id(id): Id,
    params: Params,
) -> Result<Response, Problem> {
    Ok(live::stream(&app.hub, visitor, &Topic::Run(run_query(id, &params)?)))
}

fn runs_query(params: &Params) -> Result<runs::Query, Problem> {
    let text = |name| params.text(name).map(str::to_owned);
    Ok(runs::Query {
        status: params.parse("status")?,
        backfill: text("backfill"),
        person: text("person"),
        search: text("search"),
        before: params.parse("before")?,
        hold: params.text("refresh") == Some("off"),
    })
}

fn run_query(id: RunId, params: &Params) -> Result<run::Query, Problem> {
    let before = params.parse("before")?.map(From::Before);
    let newest = (params.text("order") == Some("newest")).then_some(From::Before(run::NEWEST));
    let after = From::After(params.parse("after")?.unwrap_or(0));
    Ok(run::Query {
        id,
        batch_status: params.parse("batch_status")?,
        from: before.or(newest).unwrap_or(after),
        level: params.parse("level")?,
        log_batch: params.parse("log_batch")?,
        log_before: params.parse("log_before")?,
        hold: params.text("refresh") == Some("off"),
    })
}

/// More than are kept of one attempt.
const LINES_OF_BATCH: u32 = 1_000;

#[derive(Serialize)]
struct BatchPage {
    run: RunView,
    batch: BatchView,
    log: Vec<LogView>,
}

pub(super) async fn batch(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, position)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (Ok(id), Ok(position @ 1..)) = (id.parse::<RunId>(), position.parse::<u64>()) else {
        return Err(Problem::no_such_page().back_to("/backfill_runs", "Runs"));
    };
    let run = app.run(id).await?;
    let Some(batch) = app.batch_at(id, position).await? else {
        let missing = Error::new(ErrorKind::NotFound, format!("run {id} has no batch {position}"));
        return Err(Problem::from(missing).back_to(format!("/backfill_runs/{id}"), format!("Run {id}")));
    };
    let said = LogFilter { batch: Some(batch.id), limit: LINES_OF_BATCH, ..LogFilter::default() };
    let log = app.logs(id, said).await?.iter().map(LogView::from).collect();
    let page = BatchPage { log, run: RunView::new(&run), batch: BatchView::new(&batch, None) };
    templates::page("backfill_runs/batch.html", &visitor, &page)
}
