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
use crate::dashboard::{App, templates};
use crate::error::{Error, ErrorKind, FieldError};

use crate::registry::BackfillInfo;
#[derive(Serialize)]
struct Page {
    backfills: Vec<Choice>,
    form: Option<FormView>,
    now: Moment,
}

/// A backfill that can be picked.
#[derive(Serialize)]
struct Choice {
    name: &'static str,
    description: &'static str,
}

pub(super) async fn new(State(app): State<App>, Actor(visitor): Actor, params: Params) -> Result<Response, Problem> {
    let form = match params.text("backfill") {
        None => None,
        Some(name) => {
            let info = app.backfill(name).ok_or_else(|| unknown_backfill(name))?;
            let choices = choices(&*app, info).await;
            Some(FormView::new(info, &Typed::defaults(info, app.defaults(info)), &choices, &[]))
        }
    };
    page(&*app, &visitor, form)
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
    let form = FormView::new(info, &typed, &choices(&*app, info).await, &errors);
    let mut response = page(&*app, &visitor, Some(form))?;
    *response.status_mut() = refused;
    Ok(response)
}

/// What the form says about a refused run; an error that is none of the form's is the page's.
fn refusal(error: Error, errors: &mut Vec<FieldError>) -> Result<StatusCode, Problem> {
    let status = match error.kind() {
        ErrorKind::Invalid | ErrorKind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
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

fn page(app: &dyn Engine, visitor: &Visitor, form: Option<FormView>) -> Result<Response, Problem> {
    let choice = |info: &BackfillInfo| Choice { name: info.name, description: info.description };
    let backfills = app.backfills().into_iter().map(choice).collect();
    templates::page("backfill_runs/new.html", visitor, &Page { backfills, form, now: chrono::Utc::now().into() })
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
