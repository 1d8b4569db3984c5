//! The same reads and actions as JSON, for scripts: `/api/v1/…` behind the same gate.
//!
//! What it takes and gives is described in `ui/openapi.json`, which is served beside it; a test holds the two together.

mod body;
mod query;
mod rates;
mod read;
mod view;
mod write;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use http::header;

use super::App;
use super::problem::Problem;

/// Below the mount.
pub(super) const PREFIX: &str = "/api/v1";

const OPENAPI: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/ui/openapi.json"));

/// Whether a path below the mount is answered in JSON.
pub(super) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

macro_rules! table {
    ($($method:ident $path:literal => $handler:expr),* $(,)?) => {
        /// Every route: method and path.
        #[cfg(test)]
        pub(super) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        pub(super) fn routes() -> Router<App> {
            let routes: Vec<(&str, MethodRouter<App>)> = vec![$(($path, $method($handler))),*];
            let router = routes.into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route));
            router
                .fallback(async || Problem::no_such_page())
                .method_not_allowed_fallback(async || Problem::wrong_api_method())
        }
    };
}

table! {
    get "/openapi.json" => openapi,
    get "/backfills" => read::backfills,
    get "/backfills/{name}" => read::backfill,
    get "/backfills/{name}/choices/{option}" => read::choices,
    get "/backfillers" => read::backfillers,
    get "/backfill_runs" => read::runs,
    post "/backfill_runs" => write::create,
    post "/backfill_runs/preview" => write::preview,
    get "/backfill_runs/counts" => read::counts,
    get "/backfill_runs/{id}" => read::run,
    delete "/backfill_runs/{id}" => write::delete,
    post "/backfill_runs/{id}/stop" => write::stop,
    post "/backfill_runs/{id}/pause" => write::pause,
    post "/backfill_runs/{id}/resume" => write::resume,
    post "/backfill_runs/{id}/retry_failed_batches" => write::retry_failed_batches,
    get "/backfill_runs/{id}/batches" => read::batches,
    get "/backfill_runs/{id}/batches/{position}" => read::batch,
    get "/backfill_runs/{id}/events" => read::events,
    get "/backfill_runs/{id}/failures" => read::failures,
    get "/backfill_runs/{id}/logs" => read::logs,
    get "/backfill_runs/{id}/throughput" => read::throughput,
    get "/backfill_runs/{id}/durations" => read::durations,
    get "/workers" => read::workers,
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
