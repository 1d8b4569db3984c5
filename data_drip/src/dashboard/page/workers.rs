//! The processes that do the work.

use serde::Serialize;

use super::Refresh;
use crate::dashboard::engine::Engine;
use crate::dashboard::view::WorkerView;
use crate::error::Error;

#[derive(Serialize)]
pub(in crate::dashboard) struct Page {
    alive: Vec<WorkerView>,
    dead: Vec<WorkerView>,
    refresh: Refresh,
    #[serde(skip)]
    pub(super) moving: bool,
}

impl Page {
    pub(super) async fn load(app: &dyn Engine, hold: bool) -> Result<Self, Error> {
        let (alive, dead): (Vec<_>, Vec<_>) = app.workers().await?.into_iter().partition(|worker| worker.alive);
        // Hearts beat: there is always something to see.
        let moving = !alive.is_empty();
        let view = |workers: &[_]| workers.iter().map(WorkerView::from).collect();
        Ok(Self { alive: view(&alive), dead: view(&dead), refresh: Refresh::when(moving, hold), moving })
    }
}
