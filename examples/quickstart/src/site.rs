//! The host's own router, with the dashboard mounted in it.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use data_drip::Backfiller;
use data_drip::dashboard::Access;
use data_drip::sqlite::prelude::DataDrip;
use sqlx::SqlitePool;

use crate::terminal::thousands;
use crate::weather;

/// Where the dashboard is mounted.
pub const DASHBOARD: &str = "/data_drip";

/// The application.
pub fn router(drip: &DataDrip, pool: SqlitePool) -> Router {
    // Like `.nest(DASHBOARD, drip.dashboard(who))`, and with a slash at the end it is found as well.
    Router::new().route("/", get(index)).merge(drip.dashboard_at(DASHBOARD, who)).with_state(pool)
}

/// Who is asking, and what they may do.
///
/// Here everybody may do everything, since only this computer can ask. A real host looks at its session: an extractor
/// like `user: CurrentUser` goes here, `Access::Look` is for those who may not act, `Access::Denied` for all others.
async fn who() -> Access {
    Access::Act(Backfiller::new(1, "You"))
}

async fn index(State(pool): State<SqlitePool>) -> Result<Html<String>, StatusCode> {
    let left = weather::without_utc_time(&pool).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Weather in New York, 2013</title>\n\
         <h1>Weather in New York, 2013</h1>\n\
         <p>{} hourly observations at three airports, {} of them without a UTC time.</p>\n\
         <p><a href=\"{DASHBOARD}\">Backfills</a></p>\n</html>\n",
        thousands(weather::OBSERVATIONS),
        thousands(left)
    )))
}
