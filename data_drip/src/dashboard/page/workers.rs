//! The processes that do the work.

use serde::Serialize;

use super::Refresh;
use crate::dashboard::engine::Engine;
use crate::dashboard::view::WorkerView;
use crate::error::Error;
use crate::run::WorkerInfo;
use crate::store::marks::Marked;

#[derive(Serialize)]
pub(in crate::dashboard) struct Page {
    alive: Vec<WorkerView>,
    dead: Vec<WorkerView>,
    refresh: Refresh,
    #[serde(skip)]
    pub(super) about: Vec<Marked>,
    #[serde(skip)]
    pub(super) moving: bool,
}

impl Page {
    pub(super) async fn load(app: &dyn Engine, hold: bool) -> Result<Self, Error> {
        let workers = app.workers().await?;
        let about = about(&workers);
        let (alive, dead): (Vec<_>, Vec<_>) = workers.into_iter().partition(|worker| worker.alive);
        // Hearts beat: there is always something to see.
        let moving = !alive.is_empty();
        let view = |workers: &[_]| workers.iter().map(WorkerView::from).collect();
        Ok(Self { alive: view(&alive), dead: view(&dead), refresh: Refresh::when(moving, hold), about, moving })
    }
}

fn about(workers: &[WorkerInfo]) -> Vec<Marked> {
    let held = workers.iter().flat_map(|worker| worker.claims.iter().map(|claim| claim.run_id));
    let planned = workers.iter().flat_map(|worker| worker.plans.iter().map(|plan| plan.run_id));
    let mut runs: Vec<_> = held.chain(planned).collect();
    runs.sort_unstable();
    runs.dedup();
    // A run that is begun is seen by all runs together before anybody has a batch of it.
    [Marked::Workers, Marked::Runs].into_iter().chain(runs.into_iter().map(Marked::Run)).collect()
}
