//! `/backfills`: everything that can be run, and what has been.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::Params;
use crate::dashboard::auth::Visitor;
use crate::dashboard::problem::Problem;
use crate::dashboard::view::{BackfillView, GoneView};
use crate::dashboard::{App, templates};
use crate::registry::BackfillInfo;

#[derive(Serialize)]
struct Page {
    backfills: Vec<BackfillView>,
    /// Those that have runs but no code here.
    gone: Vec<GoneView>,
    search: Option<String>,
    /// Whether there is no backfill at all, whatever is searched for.
    nothing_linked: bool,
}

pub(super) async fn index(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Problem> {
    let search = params.text("search").map(str::to_owned);
    let wanted = search.as_deref().unwrap_or_default().trim().to_lowercase();
    let matches = |text: &str| text.to_lowercase().contains(&wanted);
    let summaries = app.summaries().await?;
    let view = |info: &BackfillInfo| {
        let summary = summaries.iter().find(|summary| summary.backfill == info.name);
        BackfillView::new(info, app.defaults(info), app.table(info.name), summary)
    };
    let backfills = app.backfills();
    let page = Page {
        nothing_linked: backfills.is_empty(),
        backfills: backfills
            .into_iter()
            .filter(|info| [info.name, info.description, info.module].into_iter().any(matches))
            .map(view)
            .collect(),
        gone: summaries
            .iter()
            .filter(|summary| app.backfill(&summary.backfill).is_none() && matches(&summary.backfill))
            .map(GoneView::from)
            .collect(),
        search,
    };
    templates::page("backfills/index.html", &visitor, &page)
}
