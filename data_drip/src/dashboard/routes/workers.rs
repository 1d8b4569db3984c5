//! `/workers`: the processes that do the work, and what each is doing.

use axum::extract::State;
use axum::response::Response;

use super::Params;
use crate::dashboard::auth::Visitor;
use crate::dashboard::page::{self, Topic};
use crate::dashboard::problem::Problem;
use crate::dashboard::{App, live};

pub(super) async fn index(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Problem> {
    let hold = params.text("refresh") == Some("off");
    page::show(&*app, &visitor, &Topic::Workers { hold }).await
}

pub(super) async fn index_live(State(app): State<App>, visitor: Visitor) -> Response {
    live::stream(&app.hub, visitor, &Topic::Workers { hold: false })
}
