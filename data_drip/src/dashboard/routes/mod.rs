//! The pages, behind the gate. Paths keep the names of the nouns: `backfills`, `backfill_runs`, batches of a run.

mod actions;
mod backfill_runs;
mod backfills;
mod new_run;
mod workers;

use std::collections::HashMap;

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{StatusCode, Uri};

use super::auth::Visitor;
use super::problem::Problem;
use super::{App, api};
use crate::run::RunId;

/// More than any form of ours needs, far less than a nuisance.
const BODY_LIMIT: usize = 256 * 1024;

/// Every page. Called by the gate only, which has put a [`Visitor`] into the request.
pub(super) fn pages(app: App) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/backfills", get(backfills::index))
        .route("/backfill_runs", get(backfill_runs::index).post(new_run::create))
        .route("/backfill_runs/live", get(backfill_runs::index_live))
        .route("/backfill_runs/new", get(new_run::new))
        .route("/backfill_runs/preview", post(new_run::preview))
        .route("/backfill_runs/{id}", get(backfill_runs::show))
        .route("/backfill_runs/{id}/live", get(backfill_runs::show_live))
        .route("/backfill_runs/{id}/batches/{position}", get(backfill_runs::batch))
        .route("/backfill_runs/{id}/stop", get(actions::confirm_stop).post(actions::stop))
        .route("/backfill_runs/{id}/pause", get(actions::confirm_pause).post(actions::pause))
        .route("/backfill_runs/{id}/resume", get(actions::confirm_resume).post(actions::resume))
        .route(
            "/backfill_runs/{id}/retry_failed_batches",
            get(actions::confirm_retry_failed_batches).post(actions::retry_failed_batches),
        )
        .route("/backfill_runs/{id}/delete", get(actions::confirm_delete).post(actions::delete))
        .route("/workers", get(workers::index))
        .route("/workers/live", get(workers::index_live))
        .nest(api::PREFIX, api::routes())
        .fallback(no_such_page)
        .method_not_allowed_fallback(async || Problem::wrong_method())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(app)
}

async fn root(visitor: Visitor) -> Redirect {
    Redirect::to(&format!("{}/backfill_runs", visitor.base))
}

/// A page's path with a slash too many leads to the page.
async fn no_such_page(visitor: Visitor, uri: Uri) -> Response {
    match uri.path().strip_suffix('/') {
        Some(path) if !path.ends_with('/') && (path.starts_with("/backfill") || path == "/workers") => {
            let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            Redirect::to(&format!("{}{path}{query}", visitor.base)).into_response()
        }
        _ => Problem::no_such_page().back_to("/backfill_runs", "Runs").into_response(),
    }
}

/// `{id}` of a path; what is no number is no run.
pub(super) struct Id(pub(super) RunId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(segments) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::no_such_page())?;
        let id = segments.get("id").and_then(|id| id.parse().ok());
        id.map(Self).ok_or_else(|| Problem::no_such_page().back_to("/backfill_runs", "Runs"))
    }
}

/// The query string. Names that a page does not know are left alone: links outlive versions.
struct Params(Vec<(String, String)>);

impl Params {
    /// The value of `name`; one that is empty counts as absent.
    fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().rev().find(|(known, _)| known == name);
        value.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of `name` as a `T`; one that is none is refused.
    fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let value = self.text(name).map(str::parse);
        value.transpose().map_err(|_| Problem::bad_request(format!("The address has a `{name}` that makes no sense.")))
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(values)| Self(values))
            .map_err(|_| Problem::bad_request("The address could not be read."))
    }
}

/// Everything that a form sent, in order.
struct Pairs(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Pairs {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
        form.map(|Form(pairs)| Self(pairs)).map_err(|rejection| match rejection {
            FormRejection::BytesRejection(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too much",
                format!("A form may send {} KiB at most.", BODY_LIMIT / 1024),
                "Shorten what you entered and try again.",
            ),
            other => {
                let mut problem = Problem::bad_request("The form could not be read.");
                problem.status = other.status();
                problem
            }
        })
    }
}
