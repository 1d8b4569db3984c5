//! Everything that can be done.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::body::Body;
use super::query::{self, Query};
use super::view::RunView;
use crate::api::Preview;
use crate::core::raw;
use crate::dashboard::App;
use crate::dashboard::auth::Actor;
use crate::dashboard::engine::{NewRun, Verb};
use crate::dashboard::problem::Problem;
use crate::dashboard::routes::Id;
use crate::error::{Error, FieldError};
use crate::run::{Run, RunId};

type Nothing = Query<query::Nothing>;

/// What a request for a run and for a preview have in common.
fn asked(body: &mut Body) -> NewRun {
    NewRun {
        backfill: body.text("backfill").unwrap_or_default(),
        options: raw(&body.object("options")),
        batch_size: body.whole("batch_size"),
        limit: body.whole("limit"),
        ..NewRun::default()
    }
}

/// Refuses what is wrong with the request itself, together with what is wrong with the options.
fn checked(app: &App, new: &NewRun, body: Body) -> Result<(), Problem> {
    let mut errors = body.finish();
    if new.backfill.is_empty() && !errors.iter().any(|error| error.field == "backfill") {
        errors.insert(0, FieldError::new("backfill", "is required"));
    }
    if errors.is_empty() {
        return Ok(());
    }
    errors.extend(app.check_options(new));
    Err(Error::invalid(errors).into())
}

pub(super) async fn create(
    State(app): State<App>,
    Actor(visitor): Actor,
    _: Nothing,
    mut body: Body,
) -> Result<Response, Problem> {
    let mut new = asked(&mut body);
    new.sleep = body.millis("sleep_ms");
    new.queue = body.text("queue");
    new.start_at = body.time("start_at");
    checked(&app, &new, body)?;
    let run = app.create(new, &visitor.backfiller).await?;
    let location = format!("{}{}/backfill_runs/{}", visitor.base, super::PREFIX, run.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view(&app, run))).into_response())
}

pub(super) async fn preview(
    State(app): State<App>,
    _: Actor,
    _: Nothing,
    mut body: Body,
) -> Result<Json<Preview>, Problem> {
    let new = asked(&mut body);
    checked(&app, &new, body)?;
    Ok(Json(app.preview(new).await?))
}

pub(super) async fn stop(
    State(app): State<App>,
    actor: Actor,
    Id(id): Id,
    _: Nothing,
    mut body: Body,
) -> Result<Json<RunView>, Problem> {
    let verb = if body.flag("now").unwrap_or(false) { Verb::StopNow } else { Verb::Stop };
    act(&app, &actor, verb, id, body).await
}

/// The actions that take nothing.
macro_rules! actions {
    ($($name:ident = $verb:ident),*) => {$(
        pub(super) async fn $name(
            State(app): State<App>,
            actor: Actor,
            Id(id): Id,
            _: Nothing,
            body: Body,
        ) -> Result<Json<RunView>, Problem> {
            act(&app, &actor, Verb::$verb, id, body).await
        }
    )*};
}

actions! {
    pause = Pause,
    resume = Resume,
    retry_failed_batches = RetryFailedBatches
}

pub(super) async fn delete(
    State(app): State<App>,
    actor: Actor,
    Id(id): Id,
    _: Nothing,
    body: Body,
) -> Result<StatusCode, Problem> {
    act(&app, &actor, Verb::Delete, id, body).await.map(|_| StatusCode::NO_CONTENT)
}

async fn act(app: &App, Actor(visitor): &Actor, verb: Verb, id: RunId, body: Body) -> Result<Json<RunView>, Problem> {
    let errors = body.finish();
    if !errors.is_empty() {
        return Err(Error::invalid(errors).into());
    }
    Ok(Json(view(app, app.act(verb, id, &visitor.backfiller).await?)))
}

fn view(app: &App, run: Run) -> RunView {
    let info = app.backfill(&run.backfill);
    RunView::new(run, info)
}
