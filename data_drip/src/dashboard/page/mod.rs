//! What the pages that move show, apart from any request: a request loads one, and so does the hub for everybody who
//! watches it.

pub(super) mod run;
pub(super) mod runs;
pub(super) mod workers;

use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use super::auth::Visitor;
use super::engine::Engine;
use super::problem::Problem;
use super::templates;
use crate::error::Error;
use crate::status::RunStatus;
use crate::store::marks::Marked;

/// Which page: two people who look at the same one look at the same thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    Runs(runs::Query),
    Run(run::Query),
    /// Whether it holds still where there is no JavaScript.
    Workers {
        hold: bool,
    },
}

/// What it shows at one moment.
pub(super) enum Page {
    Runs(Box<runs::Page>),
    Run(Box<run::Page>),
    Workers(Box<workers::Page>),
}

impl Topic {
    pub(super) async fn load(&self, app: &dyn Engine) -> Result<Page, Error> {
        match self {
            Self::Runs(query) => runs::Page::load(app, query).await.map(Box::new).map(Page::Runs),
            Self::Run(query) => run::Page::load(app, query).await.map(Box::new).map(Page::Run),
            Self::Workers { hold } => workers::Page::load(app, *hold).await.map(Box::new).map(Page::Workers),
        }
    }
}

impl Page {
    pub(super) fn html(&self, visitor: &Visitor) -> Result<String, Problem> {
        match self {
            Self::Runs(page) => templates::html("backfill_runs/index.html", visitor, page),
            Self::Run(page) => templates::html("backfill_runs/show.html", visitor, page),
            Self::Workers(page) => templates::html("workers/index.html", visitor, page),
        }
    }

    /// What has to change before it does, but for what time alone changes.
    pub(super) fn about(&self) -> &[Marked] {
        match self {
            Self::Runs(page) => &page.about,
            Self::Run(page) => &page.about,
            Self::Workers(page) => &page.about,
        }
    }

    /// Whether something on it changes by itself.
    pub(super) fn is_moving(&self) -> bool {
        match self {
            Self::Runs(page) => page.moving,
            Self::Run(page) => page.moving,
            Self::Workers(page) => page.moving,
        }
    }
}

/// A page for the request that asked for it.
pub(super) async fn show(app: &dyn Engine, visitor: &Visitor, topic: &Topic) -> Result<Response, Problem> {
    let page = topic.load(app).await?;
    Ok(Html(page.html(visitor)?).into_response())
}

pub(super) fn is_moving(status: RunStatus) -> bool {
    matches!(status, RunStatus::Pending | RunStatus::Enqueued | RunStatus::Running)
}

/// Cuts a page to its size; whether something went.
fn cut<T>(items: &mut Vec<T>, size: u32) -> bool {
    let more = items.len() > size as usize;
    items.truncate(size as usize);
    more
}

/// Whether the page reloads itself where there is no JavaScript. It does so only while nothing can be lost by it, and can
/// be told not to by whoever reads or tabs through the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Refresh {
    /// Nothing moves, or the page shows something that a reload would disturb.
    Never,
    /// Switched off by the reader.
    Off,
    On,
}

impl Refresh {
    fn when(moving: bool, hold: bool) -> Self {
        match (moving, hold) {
            (false, _) => Self::Never,
            (true, true) => Self::Off,
            (true, false) => Self::On,
        }
    }
}
