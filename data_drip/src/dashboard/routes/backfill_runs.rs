//! `/backfill_runs` and `/backfill_runs/{id}`: what is running, what has run, and what became of it.

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use super::{Id, Params};
use crate::dashboard::auth::Visitor;
use crate::dashboard::engine::{BatchFilter, RunFilter};
use crate::dashboard::problem::Problem;
use crate::dashboard::view::{self, Actions, BatchView, EventView, OptionView, RunView};
use crate::dashboard::{App, templates};
use crate::error::{Error, ErrorKind};
use crate::run::RunId;
use crate::status::{BatchStatus, RunStatus};

const RUNS_PER_PAGE: u32 = 25;
const BATCHES_PER_PAGE: u32 = 50;
/// Characters of an error in a list; the batch's own page has all of it.
const ERROR_IN_LIST: usize = 2_000;
/// Seconds between reloads of a page that shows something running.
const REFRESH: &str = "3";

#[derive(Serialize)]
struct Index {
    runs: Vec<RunView>,
    statuses: Vec<&'static str>,
    status: Option<&'static str>,
    backfill: Option<String>,
    /// Whether this is not the first page.
    later: bool,
    /// The last run of this page, when there are older ones.
    older: Option<RunId>,
    refresh: Refresh,
    no_backfills: bool,
}

pub(super) async fn index(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Problem> {
    let status = params.parse::<RunStatus>("status")?;
    let before = params.parse::<RunId>("before")?;
    let backfill = params.text("backfill").map(str::to_owned);
    // One more than is shown tells whether there is a next page.
    let filter = RunFilter { status, backfill: backfill.clone(), before, limit: RUNS_PER_PAGE + 1 };
    let mut runs = app.runs(filter).await?;
    let older = page_end(&mut runs, RUNS_PER_PAGE).map(|run| run.id);
    let refresh = Refresh::when(runs.iter().any(|run| is_moving(run.status)), before.is_some(), &params);
    let page = Index {
        runs: runs.iter().map(RunView::new).collect(),
        statuses: RunStatus::ALL.iter().map(|status| status.as_str()).collect(),
        status: status.map(RunStatus::as_str),
        backfill,
        later: before.is_some(),
        older,
        refresh,
        no_backfills: app.backfills().is_empty(),
    };
    Ok(page.refresh.on(templates::page("backfill_runs/index.html", &visitor, &page)?))
}

#[derive(Serialize)]
struct Show {
    run: RunView,
    actions: Actions,
    options: Vec<OptionView>,
    has_code: bool,
    batches: Vec<BatchView>,
    batch_statuses: Vec<&'static str>,
    batch_status: Option<&'static str>,
    /// Whether this is not the first page of batches.
    later: bool,
    /// The last position of this page, when there are more.
    next: Option<u64>,
    events: Vec<EventView>,
    /// Whether errors can be opened in place; a page that reloads itself would close them and links to them instead.
    fold_errors: bool,
    refresh: Refresh,
}

pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Id(id): Id,
    params: Params,
) -> Result<Response, Problem> {
    let batch_status = params.parse::<BatchStatus>("batch_status")?;
    let after = params.parse::<u64>("after")?.unwrap_or(0);
    let run = app.run(id).await?;
    let mut batches = app.batches(id, BatchFilter { status: batch_status, after, limit: BATCHES_PER_PAGE + 1 }).await?;
    let next = page_end(&mut batches, BATCHES_PER_PAGE).map(|batch| batch.position);
    let events = app.events(id).await?;
    let info = app.backfill(&run.backfill);

    let refresh = Refresh::when(is_moving(run.status), false, &params);
    let page = Show {
        actions: Actions::of(run.status),
        options: view::options(&run, info),
        has_code: info.is_some(),
        batches: batches.iter().map(|batch| BatchView::new(batch, Some(ERROR_IN_LIST))).collect(),
        batch_statuses: BatchStatus::ALL.iter().map(|status| status.as_str()).collect(),
        batch_status: batch_status.map(BatchStatus::as_str),
        later: after > 0,
        next,
        events: events.into_iter().map(EventView::from).collect(),
        fold_errors: refresh != Refresh::On,
        refresh,
        run: RunView::new(&run),
    };
    Ok(page.refresh.on(templates::page("backfill_runs/show.html", &visitor, &page)?))
}

#[derive(Serialize)]
struct Batch {
    run: RunView,
    batch: BatchView,
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
    let filter = BatchFilter { status: None, after: position - 1, limit: 1 };
    let batch = app.batches(id, filter).await?.into_iter().find(|batch| batch.position == position);
    let Some(batch) = batch else {
        let missing = Error::new(ErrorKind::NotFound, format!("run {id} has no batch {position}"));
        return Err(Problem::from(missing).back_to(format!("/backfill_runs/{id}"), format!("Run {id}")));
    };
    let page = Batch { run: RunView::new(&run), batch: BatchView::new(&batch, None) };
    templates::page("backfill_runs/batch.html", &visitor, &page)
}

/// Cuts a page to its size; the last of what stays, when something went.
fn page_end<T>(items: &mut Vec<T>, size: u32) -> Option<&T> {
    let size = size as usize;
    let more = items.len() > size;
    items.truncate(size);
    items.last().filter(|_| more)
}

fn is_moving(status: RunStatus) -> bool {
    matches!(status, RunStatus::Pending | RunStatus::Enqueued | RunStatus::Running)
}

/// Whether the page reloads itself. Without JavaScript that is all there is, so it happens only while nothing can be
/// lost by it, and can be switched off by whoever reads or tabs through the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Refresh {
    /// Nothing moves, or the page shows something that a reload would disturb.
    Never,
    /// Switched off by the reader.
    Off,
    On,
}

impl Refresh {
    fn when(moving: bool, can_lose: bool, params: &Params) -> Self {
        match params.text("refresh") {
            _ if !moving || can_lose => Self::Never,
            Some("off") => Self::Off,
            _ => Self::On,
        }
    }

    fn on(self, mut response: Response) -> Response {
        if self == Self::On {
            response.headers_mut().insert(HeaderName::from_static("refresh"), HeaderValue::from_static(REFRESH));
        }
        response
    }
}
