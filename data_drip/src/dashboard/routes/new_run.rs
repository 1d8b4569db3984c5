//! `/backfill_runs/new`: choose a backfill, fill in its options, start it.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use serde::Serialize;

use super::{Pairs, Params};
use crate::dashboard::auth::{Actor, Visitor};
use crate::dashboard::engine::Engine;
use crate::dashboard::form::{Available, Choices, FormView, Typed};
use crate::dashboard::format::Moment;
use crate::dashboard::problem::Problem;
use crate::dashboard::view::PreviewView;
use crate::dashboard::{App, templates};
use crate::error::{Error, ErrorKind, FieldError};
use crate::options::DEFAULT_QUEUE;
use crate::registry::BackfillInfo;
use crate::run::RunId;

#[derive(Serialize)]
struct Page {
    /// Those that the visitor started last come first.
    recent: Vec<Choice>,
    backfills: Vec<Choice>,
    search: Option<String>,
    /// Whether the search leaves any of them.
    found: bool,
    form: Option<FormView>,
    /// The run whose options the form was filled with.
    again: Option<RunId>,
    preview: Option<PreviewView>,
    now: Moment,
}

/// A backfill that can be picked.
#[derive(Clone, Serialize)]
struct Choice {
    name: &'static str,
    description: &'static str,
    /// Whether a search leaves it out.
    hidden: bool,
}

pub(super) async fn new(State(app): State<App>, Actor(visitor): Actor, params: Params) -> Result<Response, Problem> {
    if let Some(id) = params.parse::<RunId>("again")? {
        return again(&app, &visitor, id).await;
    }
    let Some(name) = params.text("backfill") else {
        return picker(&app, &visitor, params.text("search")).await;
    };
    let info = app.backfill(name).ok_or_else(|| unknown_backfill(name))?;
    let (typed, errors) = Typed::linked(info, app.defaults(info), &params.0);
    let form = form(&*app, info, &typed, &errors).await.linked();
    page(&visitor, form, None, None)
}

/// The form with everything as it was in an old run, but what must not be shown.
async fn again(app: &App, visitor: &Visitor, id: RunId) -> Result<Response, Problem> {
    let run = app.run(id).await?;
    let info = app.backfill(&run.backfill).ok_or_else(|| {
        let (name, page) = (&run.backfill, format!("/backfill_runs/{id}"));
        unknown_backfill(name).back_to(page, format!("Run {id}"))
    })?;
    let (typed, errors) = Typed::again(info, &run);
    let form = form(&**app, info, &typed, &errors).await.linked();
    page(visitor, form, Some(id), None)
}

async fn picker(app: &App, visitor: &Visitor, search: Option<&str>) -> Result<Response, Problem> {
    let wanted = search.unwrap_or_default().trim().to_lowercase();
    // What does not match is hidden and not left out: the module searches anew in what is on the page.
    let choice = |info: &BackfillInfo| {
        let hidden = !info.name.to_lowercase().contains(&wanted);
        Choice { name: info.name, description: info.description, hidden }
    };
    let all: Vec<Choice> = app.backfills().into_iter().map(choice).collect();
    let found = all.iter().any(|choice| !choice.hidden);
    // A list without that order is better than none.
    let recent = app.recent(&visitor.backfiller.id).await.unwrap_or_default();
    let recent: Vec<Choice> =
        recent.iter().filter_map(|name| all.iter().find(|choice| choice.name == name)).cloned().collect();
    let others = all.into_iter().filter(|choice| !recent.iter().any(|known| known.name == choice.name)).collect();
    let page = Page {
        recent,
        backfills: others,
        search: search.map(str::to_owned),
        found,
        form: None,
        again: None,
        preview: None,
        now: chrono::Utc::now().into(),
    };
    templates::page("backfill_runs/new.html", visitor, &page)
}

pub(super) async fn create(
    State(app): State<App>,
    Actor(visitor): Actor,
    Pairs(pairs): Pairs,
) -> Result<Response, Problem> {
    let (typed, mut errors) = Typed::read(pairs);
    let info = app.backfill(&typed.backfill).ok_or_else(|| unknown_backfill(&typed.backfill))?;
    let new = typed.check(info, &mut errors);
    let refused = if errors.is_empty() {
        match app.create(new, &visitor.backfiller).await {
            Ok(run) => {
                return Ok(Redirect::to(&format!("{}/backfill_runs/{}", visitor.base, run.id)).into_response());
            }
            Err(error) => refusal(error, &mut errors)?,
        }
    } else {
        errors.extend(app.check_options(&new));
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let form = form(&*app, info, &typed, &errors).await;
    let mut response = page(&visitor, form, None, None)?;
    *response.status_mut() = refused;
    Ok(response)
}

/// Says what the run would do, beside the form as it was sent; nothing is written.
pub(super) async fn preview(
    State(app): State<App>,
    Actor(visitor): Actor,
    Pairs(pairs): Pairs,
) -> Result<Response, Problem> {
    let (typed, mut errors) = Typed::read(pairs);
    let info = app.backfill(&typed.backfill).ok_or_else(|| unknown_backfill(&typed.backfill))?;
    let new = typed.check(info, &mut errors);
    let mut seen = None;
    if errors.is_empty() {
        match app.preview(new).await {
            Ok(preview) => seen = Some(PreviewView::from(&preview)),
            Err(error) => drop(refusal(error, &mut errors)?),
        }
    } else {
        errors.extend(app.check_options(&new));
    }
    let form = form(&*app, info, &typed, &errors).await.previewed();
    page(&visitor, form, None, seen)
}

/// What the form says about a refused run; an error that is none of the form's is the page's.
fn refusal(error: Error, errors: &mut Vec<FieldError>) -> Result<StatusCode, Problem> {
    let status = match error.kind() {
        // A table or column that is not there is the code's mistake, and the person can tell whoever wrote it.
        ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::Configuration => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        // A page of its own would lose what was typed.
        ErrorKind::Database => {
            let problem = Problem::from(error);
            errors.push(FieldError::new("base", format!("{}. Wait a moment and try again.", problem.title)));
            return Ok(problem.status);
        }
        _ => return Err(error.into()),
    };
    if error.fields().is_empty() {
        errors.push(FieldError::new("base", error.to_string()));
    } else {
        errors.extend_from_slice(error.fields());
    }
    Ok(status)
}

async fn form(app: &dyn Engine, info: &BackfillInfo, typed: &Typed, errors: &[FieldError]) -> FormView {
    FormView::new(info, typed, &choices(app, info).await, errors).queues(queues(app).await)
}

/// The queues that backfills name and those that workers say they take.
async fn queues(app: &dyn Engine) -> Vec<String> {
    let named = app.backfills().into_iter().filter_map(|info| info.settings.queue.map(str::to_owned));
    let mut queues: Vec<_> = named.chain([DEFAULT_QUEUE.to_owned()]).collect();
    // A shorter list is better than no form.
    let workers = app.workers().await.unwrap_or_default();
    queues.extend(workers.into_iter().filter(|worker| worker.alive).flat_map(|worker| worker.queues));
    queues.sort_unstable();
    queues.dedup();
    queues
}

async fn choices(app: &dyn Engine, info: &BackfillInfo) -> Choices {
    let mut choices = Choices::new();
    for field in info.fields.iter().filter(|field| field.has_choices) {
        let available = match app.choices(info.name, field.name).await {
            Ok(Some(these)) => Available::These(these),
            Ok(None) => Available::Anything,
            Err(error) => {
                tracing::warn!(?error, backfill = info.name, option = field.name, "its choices could not be read");
                Available::Unknown
            }
        };
        choices.insert(field.name, available);
    }
    choices
}

fn page(
    visitor: &Visitor,
    form: FormView,
    again: Option<RunId>,
    preview: Option<PreviewView>,
) -> Result<Response, Problem> {
    let page = Page {
        recent: Vec::new(),
        backfills: Vec::new(),
        search: None,
        found: false,
        form: Some(form),
        again,
        preview,
        now: chrono::Utc::now().into(),
    };
    templates::page("backfill_runs/new.html", visitor, &page)
}

fn unknown_backfill(name: &str) -> Problem {
    let text = if name.is_empty() {
        "The form does not say which backfill to run.".to_owned()
    } else {
        format!(
            "There is no backfill named “{}” in this application.",
            crate::dashboard::format::shortened(name, 120).0
        )
    };
    Problem::new(
        StatusCode::NOT_FOUND,
        "No such backfill",
        text,
        "It may have been renamed or removed, or its crate is not linked into this process.",
    )
    .back_to("/backfills", "Backfills")
}
