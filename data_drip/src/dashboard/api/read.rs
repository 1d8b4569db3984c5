//! Everything that can be read.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::query::{self, Query};
use super::rates::{DurationView, ThroughputView};
use super::view::{BackfillView, BatchView, ChoicesView, EventView, FailuresView, Items, RunView, items};
use crate::api::BackfillSummary;
use crate::dashboard::App;
use crate::dashboard::auth::Actor;
use crate::dashboard::engine::{BatchFilter, From, LogFilter, RunFilter};
use crate::dashboard::format;
use crate::dashboard::problem::Problem;
use crate::dashboard::routes::Id;
use crate::error::{Error, ErrorKind};
use crate::logs::{LogId, LogLine, LogTotals};
use crate::registry::BackfillInfo;
use crate::run::{Backfiller, RunBatch, RunId, WorkerInfo};
use crate::store::runs::StatusCounts;

type Answer<T> = Result<Json<T>, Problem>;

#[derive(Serialize)]
pub(super) struct Backfills {
    items: Vec<BackfillView>,
    /// Names that have runs but no code in this process.
    without_code: Vec<String>,
}

pub(super) async fn backfills(
    State(app): State<App>,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<Backfills> {
    let summaries = app.summaries().await?;
    let items = app.backfills().into_iter().map(|info| backfill_view(&app, info, &summaries)).collect();
    Ok(Json(Backfills { items, without_code: app.names_without_code().await? }))
}

pub(super) async fn backfill(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<BackfillView> {
    let info = app.backfill(&name).ok_or_else(|| unknown("there is no backfill of that name".to_owned()))?;
    Ok(Json(backfill_view(&app, info, &app.summaries().await?)))
}

fn backfill_view(app: &App, info: &BackfillInfo, summaries: &[BackfillSummary]) -> BackfillView {
    BackfillView::new(info, app.defaults(info), app.table(info.name), summaries)
}

/// What can be chosen for an option; only who may act is told, since it can be rows.
pub(super) async fn choices(
    State(app): State<App>,
    _: Actor,
    Path((name, option)): Path<(String, String)>,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<ChoicesView> {
    let info = app.backfill(&name).ok_or_else(|| unknown("there is no backfill of that name".to_owned()))?;
    let field = info.fields.iter().find(|field| field.name == option);
    let field = field.ok_or_else(|| unknown(format!("`{name}` has no option of that name")))?;
    let offered = if field.has_choices { app.choices(info.name, field.name).await? } else { None };
    Ok(Json(ChoicesView::new(field, offered)))
}

pub(super) async fn backfillers(
    State(app): State<App>,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<Items<Backfiller>> {
    Ok(Json(Items { items: app.people().await?, next: None }))
}

pub(super) fn unknown(message: String) -> Problem {
    Error::new(ErrorKind::NotFound, message).into()
}

pub(super) async fn runs(State(app): State<App>, Query(query): Query<query::Runs>) -> Answer<Items<RunView>> {
    let limit = query.limit.0;
    let among = match &query.search {
        Some(search) => {
            let mut names: Vec<_> = app.backfills().iter().map(|info| info.name.to_owned()).collect();
            names.extend(app.names_without_code().await?);
            Some(format::matching(search, &names))
        }
        None => None,
    };
    let filter = RunFilter {
        status: query.status,
        backfill: query.backfill,
        among,
        person: query.backfiller,
        before: query.before,
        limit: limit + 1,
    };
    let view = |run: crate::run::Run| {
        let info = app.backfill(&run.backfill);
        RunView::new(run, info)
    };
    Ok(Json(items(app.runs(filter).await?, limit, |run| run.id.0, view)))
}

pub(super) async fn counts(
    State(app): State<App>,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<StatusCounts> {
    Ok(Json(app.status_counts().await?))
}

pub(super) async fn run(
    State(app): State<App>,
    Id(id): Id,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<RunView> {
    let run = app.run(id).await?;
    let info = app.backfill(&run.backfill);
    Ok(Json(RunView::new(run, info)))
}

pub(super) async fn batches(
    State(app): State<App>,
    Id(id): Id,
    Query(query): Query<query::Batches>,
) -> Answer<Items<BatchView, u64>> {
    app.run(id).await?;
    let limit = query.limit.0;
    let filter = BatchFilter { status: query.status, from: From::After(query.after.unwrap_or(0)), limit: limit + 1 };
    Ok(Json(items(app.batches(id, filter).await?, limit, |batch| batch.position, BatchView::from)))
}

pub(super) async fn batch(
    State(app): State<App>,
    Path((id, position)): Path<(String, String)>,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<BatchView> {
    let (Ok(id), Ok(position)) = (id.parse(), position.parse()) else { return Err(Problem::no_such_page()) };
    Ok(Json(find_batch(&app, id, position).await?.into()))
}

async fn find_batch(app: &App, id: RunId, position: u64) -> Result<RunBatch, Problem> {
    app.run(id).await?;
    let found = app.batch_at(id, position).await?;
    found.ok_or_else(|| unknown(format!("run {id} has no batch {position}")))
}

pub(super) async fn events(
    State(app): State<App>,
    Id(id): Id,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<Items<EventView>> {
    app.run(id).await?;
    Ok(Json(Items { items: app.events(id).await?.into_iter().map(EventView::from).collect(), next: None }))
}

pub(super) async fn failures(
    State(app): State<App>,
    Id(id): Id,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<FailuresView> {
    app.run(id).await?;
    Ok(Json(app.failures(id).await?.into()))
}

pub(super) async fn throughput(
    State(app): State<App>,
    Id(id): Id,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<ThroughputView> {
    let run = app.run(id).await?;
    let measured = app.throughput(&run).await?;
    Ok(Json(ThroughputView::new(&run, measured.as_ref())))
}

pub(super) async fn durations(
    State(app): State<App>,
    Id(id): Id,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<Items<DurationView>> {
    app.run(id).await?;
    let latest = app.durations(id).await?;
    Ok(Json(Items { items: latest.iter().map(DurationView::from).collect(), next: None }))
}

#[derive(Serialize)]
pub(super) struct Logs {
    items: Vec<LogLine>,
    /// The last line of this page, as `after` of the next; also when there is no more yet.
    next: Option<LogId>,
    totals: LogTotals,
}

pub(super) async fn logs(State(app): State<App>, Id(id): Id, Query(query): Query<query::Logs>) -> Answer<Logs> {
    app.run(id).await?;
    let batch = match query.batch {
        Some(position) => Some(find_batch(&app, id, position).await?.id),
        None => None,
    };
    let filter =
        LogFilter { batch, level: query.level, after: query.after, limit: query.limit.0, ..LogFilter::default() };
    let items = app.logs(id, filter).await?;
    let next = items.last().map(|line| line.id).or(query.after);
    Ok(Json(Logs { items, next, totals: app.log_totals(id).await? }))
}

pub(super) async fn workers(
    State(app): State<App>,
    Query(query::Nothing {}): Query<query::Nothing>,
) -> Answer<Items<WorkerInfo>> {
    Ok(Json(Items { items: app.workers().await?, next: None }))
}
