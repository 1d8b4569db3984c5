//! What a person can do to a run. Each answers with the run's page, or with a refusal that says why.

use axum::extract::State;
use axum::response::{Redirect, Response};
use serde::Serialize;

use super::{Id, Pairs};
use crate::dashboard::auth::Actor;
use crate::dashboard::engine::Verb;
use crate::dashboard::problem::Problem;
use crate::dashboard::view::{Actions, RunView};
use crate::dashboard::{App, templates};
use crate::run::RunId;

#[derive(Serialize)]
struct Confirm {
    run: RunView,
    actions: Actions,
}

/// Says what will happen, before it does.
macro_rules! questions {
    ($($name:ident = $template:literal),*) => {$(
        pub(super) async fn $name(State(app): State<App>, actor: Actor, Id(id): Id) -> Result<Response, Problem> {
            confirm(&app, &actor, id, $template).await
        }
    )*};
}

questions! {
    confirm_stop = "backfill_runs/stop.html",
    confirm_pause = "backfill_runs/pause.html",
    confirm_resume = "backfill_runs/resume.html",
    confirm_retry_failed_batches = "backfill_runs/retry_failed_batches.html",
    confirm_delete = "backfill_runs/delete.html"
}

async fn confirm(app: &App, Actor(visitor): &Actor, id: RunId, template: &str) -> Result<Response, Problem> {
    let run = app.run(id).await?;
    templates::page(template, visitor, &Confirm { actions: Actions::of(run.status), run: RunView::new(&run) })
}

pub(super) async fn stop(
    State(app): State<App>,
    actor: Actor,
    Id(id): Id,
    Pairs(pairs): Pairs,
) -> Result<Redirect, Problem> {
    let verb = match pairs.as_slice() {
        [] => Verb::Stop,
        [(name, value)] if name == "now" && value == "1" => Verb::StopNow,
        _ => return Err(unknown_fields()),
    };
    act(&app, &actor, verb, id).await
}

/// The actions whose form is a button and nothing else.
macro_rules! buttons {
    ($($name:ident = $verb:ident),*) => {$(
        pub(super) async fn $name(
            State(app): State<App>,
            actor: Actor,
            Id(id): Id,
            Pairs(pairs): Pairs,
        ) -> Result<Redirect, Problem> {
            if !pairs.is_empty() {
                return Err(unknown_fields());
            }
            act(&app, &actor, Verb::$verb, id).await
        }
    )*};
}

buttons! {
    pause = Pause,
    resume = Resume,
    retry_failed_batches = RetryFailedBatches,
    delete = Delete
}

async fn act(app: &App, Actor(visitor): &Actor, verb: Verb, id: RunId) -> Result<Redirect, Problem> {
    let page = format!("/backfill_runs/{id}");
    match app.act(verb, id, &visitor.backfiller).await {
        Ok(_) if verb == Verb::Delete => Ok(Redirect::to(&format!("{}/backfill_runs", visitor.base))),
        Ok(_) => Ok(Redirect::to(&format!("{}{page}", visitor.base))),
        Err(error) => {
            let problem = Problem::from(error);
            let gone = problem.status == http::StatusCode::NOT_FOUND;
            Err(if gone {
                problem.back_to("/backfill_runs", "Runs")
            } else {
                problem.back_to(page, format!("Run {id}"))
            })
        }
    }
}

fn unknown_fields() -> Problem {
    Problem::bad_request("The form has fields that this action does not know; nothing was done.")
}
