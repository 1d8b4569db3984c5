//! The process that people see. It executes nothing: it asks for runs, steers them and shows them.

use std::path::Path;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use data_drip::Backfiller;
use data_drip::dashboard::Access;
use data_drip::postgres::prelude::DataDrip;
use tokio::net::TcpListener;

use crate::{process, weather};

/// Where the dashboard is mounted.
const DASHBOARD: &str = "/data_drip";

/// Serves until it is asked to end; says where on standard output.
///
/// # Errors
/// When the port is in use, or the database does not answer.
pub(crate) async fn run(database: &Path, port: u16) -> anyhow::Result<()> {
    // Only this computer: everybody may act in this dashboard.
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let drip = DataDrip::builder(weather::pool(database)).build().await?;
    let app = Router::new().route("/", get(index)).merge(drip.dashboard_at(DASHBOARD, who));
    println!("http://{}{DASHBOARD}", listener.local_addr()?);
    // Here is no worker whose shutdown would end the event streams of open pages, which axum waits for.
    axum::serve(listener, app).with_graceful_shutdown(drip.end_streams_on(process::asked_to_end())).await?;
    Ok(())
}

/// Who is asking, and what they may do: a real host looks at its session.
async fn who() -> Access {
    Access::Act(Backfiller::new(1, "You"))
}

async fn index() -> Html<String> {
    Html(format!("<!doctype html>\n<title>Weather</title>\n<p><a href=\"{DASHBOARD}\">Backfills</a></p>\n"))
}
