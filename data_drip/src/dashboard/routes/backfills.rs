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
    /// Whether the search leaves any of them.
    found: bool,
    /// Whether there is no backfill at all, whatever is searched for.
    nothing_linked: bool,
}

pub(super) async fn index(State(app): State<App>, visitor: Visitor, params: Params) -> Result<Response, Problem> {
    let search = params.text("search").map(str::to_owned);
    let wanted = search.as_deref().unwrap_or_default().trim().to_lowercase();
    let summaries = app.summaries().await?;
    let view = |info: &BackfillInfo| {
        let summary = summaries.iter().find(|summary| summary.backfill == info.name);
        BackfillView::new(info, app.defaults(info), app.table(info.name), summary)
    };
    let mut backfills: Vec<_> = app.backfills().into_iter().map(view).collect();
    let gone = summaries.iter().filter(|summary| app.backfill(&summary.backfill).is_none());
    let mut gone: Vec<_> = gone.map(GoneView::from).collect();
    // What does not match is hidden and not left out: the module searches anew in what is on the page.
    let linked = backfills.iter_mut().map(|backfill| backfill.search(&wanted));
    let found = linked.chain(gone.iter_mut().map(|gone| gone.search(&wanted))).filter(|found| *found).count() > 0;
    let nothing_linked = backfills.is_empty();
    let page = Page { backfills, gone, search, found, nothing_linked };
    templates::page("backfills/index.html", &visitor, &page)
}
