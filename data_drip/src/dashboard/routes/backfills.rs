//! `/backfills`: everything that can be run.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::dashboard::auth::Visitor;
use crate::dashboard::problem::Problem;
use crate::dashboard::view::BackfillView;
use crate::dashboard::{App, templates};

#[derive(Serialize)]
struct Page {
    backfills: Vec<BackfillView>,
    without_code: Vec<String>,
}

pub(super) async fn index(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let page = Page {
        backfills: app.backfills().into_iter().map(|info| BackfillView::new(info, app.defaults(info))).collect(),
        without_code: app.names_without_code().await?,
    };
    templates::page("backfills/index.html", &visitor, &page)
}
