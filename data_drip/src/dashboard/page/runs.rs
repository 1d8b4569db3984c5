//! The list of runs.

use serde::Serialize;

use super::{Refresh, cut, is_moving};
use crate::dashboard::engine::{Engine, RunFilter};
use crate::dashboard::format;
use crate::dashboard::view::{RunView, Who};
use crate::error::Error;
use crate::run::{Backfiller, Run, RunId};
use crate::status::RunStatus;
use crate::store::marks::Marked;
use crate::store::runs::StatusCounts;

const PER_PAGE: u32 = 25;

/// What the address asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::dashboard) struct Query {
    pub(in crate::dashboard) status: Option<RunStatus>,
    pub(in crate::dashboard) backfill: Option<String>,
    /// The host's id of whoever started them.
    pub(in crate::dashboard) person: Option<String>,
    /// A part of the backfill's name.
    pub(in crate::dashboard) search: Option<String>,
    pub(in crate::dashboard) before: Option<RunId>,
    pub(in crate::dashboard) hold: bool,
}

#[derive(Serialize)]
pub(in crate::dashboard) struct Page {
    strip: Vec<Count>,
    runs: Vec<RunView>,
    statuses: Vec<&'static str>,
    /// The filters, as they stand in the address.
    status: Option<&'static str>,
    backfill: Option<String>,
    person: Option<String>,
    search: Option<String>,
    /// What they can be set to.
    backfills: Vec<String>,
    people: Vec<Who>,
    filtered: bool,
    before: Option<RunId>,
    /// The last run of this page, when there are older ones.
    older: Option<RunId>,
    refresh: Refresh,
    no_backfills: bool,
    #[serde(skip)]
    pub(super) about: Vec<Marked>,
    #[serde(skip)]
    pub(super) moving: bool,
}

/// So many runs in a status.
#[derive(Serialize)]
struct Count {
    status: &'static str,
    runs: String,
    /// Whether only those of the last seven days count.
    lately: bool,
}

/// The statuses that call for somebody, or say that all is well; others only when there are such runs.
fn strip(counts: &StatusCounts) -> Vec<Count> {
    let count = |status: RunStatus, runs: u64| Count {
        status: status.as_str(),
        runs: format::number(runs),
        lately: status.is_settled(),
    };
    let mut strip = vec![count(RunStatus::Running, counts.running), count(RunStatus::Enqueued, counts.enqueued)];
    let others = [(RunStatus::Pending, counts.pending), (RunStatus::Paused, counts.paused)];
    strip.extend(others.into_iter().filter(|(_, runs)| *runs > 0).map(|(status, runs)| count(status, runs)));
    strip.extend([count(RunStatus::Failed, counts.failed), count(RunStatus::Completed, counts.completed)]);
    strip
}

impl Page {
    pub(super) async fn load(app: &dyn Engine, query: &Query) -> Result<Self, Error> {
        let names = names(app).await?;
        // One more than is shown tells whether there is a next page.
        let mut runs = app.runs(filter(query, &names, PER_PAGE + 1)).await?;
        let older = cut(&mut runs, PER_PAGE).then(|| runs.last().map(|run| run.id)).flatten();
        let moving = query.before.is_none() && runs.iter().any(|run| is_moving(run.status));
        Ok(Self {
            strip: strip(&app.status_counts().await?),
            runs: runs.iter().map(RunView::new).collect(),
            statuses: RunStatus::ALL.iter().map(|status| status.as_str()).collect(),
            status: query.status.map(RunStatus::as_str),
            backfill: query.backfill.clone(),
            person: query.person.clone(),
            search: query.search.clone(),
            people: people(app, query, &runs).await?,
            filtered: query.status.is_some()
                || query.backfill.is_some()
                || query.person.is_some()
                || query.search.is_some(),
            before: query.before,
            older,
            refresh: Refresh::when(moving, query.hold),
            no_backfills: app.backfills().is_empty(),
            backfills: names,
            about: [Marked::Runs].into_iter().chain(runs.iter().map(|run| Marked::Run(run.id))).collect(),
            moving,
        })
    }
}

/// Who can be filtered by. Whoever the list is filtered by is among them, also when they are not among the latest, or have
/// no runs at all: then by the id that is in the address.
async fn people(app: &dyn Engine, query: &Query, runs: &[Run]) -> Result<Vec<Who>, Error> {
    let mut people = app.people().await?;
    if let Some(id) = &query.person
        && !people.iter().any(|person| person.id == *id)
    {
        let known = runs.iter().filter_map(|run| run.backfiller.as_ref()).find(|person| person.id == *id);
        people.push(known.cloned().unwrap_or_else(|| Backfiller::new(id, id.as_str())));
    }
    Ok(people.iter().map(Who::from).collect())
}

/// Every backfill that there is code or a run for.
async fn names(app: &dyn Engine) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = app.backfills().iter().map(|info| info.name.to_owned()).collect();
    names.extend(app.names_without_code().await?);
    names.sort_unstable();
    Ok(names)
}

fn filter(query: &Query, names: &[String], limit: u32) -> RunFilter {
    RunFilter {
        status: query.status,
        backfill: query.backfill.clone(),
        // Names are few and runs are many: what matches is found among the names, so that an index serves.
        among: query.search.as_deref().map(|search| format::matching(search, names)),
        person: query.person.clone(),
        before: query.before,
        limit,
    }
}
