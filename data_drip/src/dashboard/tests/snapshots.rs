//! The HTML of each page, on record: a change of it is made on purpose and seen in review.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use http::Request;

use super::fake::Fake;
use super::{dashboard, send, who};
use crate::dashboard::assets;

/// Name, access and path.
const PAGES: &[(&str, &str, &str)] = &[
    ("runs", "act", "/backfill_runs"),
    ("runs_read_only", "look", "/backfill_runs?status=failed&search=orders"),
    ("runs_none", "act", "/backfill_runs?search=nobody"),
    ("run_pending", "act", "/backfill_runs/1"),
    ("run_enqueued", "act", "/backfill_runs/2"),
    ("run_running", "act", "/backfill_runs/3"),
    ("run_running_read_only", "look", "/backfill_runs/3"),
    ("run_paused", "act", "/backfill_runs/4"),
    ("run_completed", "act", "/backfill_runs/5"),
    ("run_failed", "act", "/backfill_runs/6?batch_status=failed&level=warn"),
    ("run_of_which_one_batch_is_followed", "act", "/backfill_runs/3?log_batch=2&level=info"),
    ("run_stopped", "act", "/backfill_runs/7"),
    ("run_that_could_not_be_planned", "act", "/backfill_runs/13"),
    ("batch_failed", "act", "/backfill_runs/6/batches/4"),
    ("stop", "act", "/backfill_runs/3/stop"),
    ("pause", "act", "/backfill_runs/3/pause"),
    ("resume", "act", "/backfill_runs/4/resume"),
    ("retry_failed_batches", "act", "/backfill_runs/6/retry_failed_batches"),
    ("delete", "act", "/backfill_runs/5/delete"),
    ("new_picker", "act", "/backfill_runs/new"),
    ("new_form", "act", "/backfill_runs/new?backfill=add_role_to_employee&limit=70"),
    ("backfills", "act", "/backfills"),
    ("workers", "act", "/workers"),
    ("not_found", "act", "/backfill_runs/99"),
    ("denied", "nobody", "/backfill_runs"),
];

/// Write the record anew with `DATA_DRIP_BLESS=1 cargo test -p data_drip --all-features --lib snapshots`.
#[tokio::test]
async fn every_page_is_the_one_on_record() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/pages");
    let bless = std::env::var_os("DATA_DRIP_BLESS").is_some();
    let fake = Arc::new(Fake { few: true, ..Fake::new() });
    let mut changed = Vec::new();
    for (name, access, path) in PAGES {
        let request = Request::get(*path).header("x-access", *access).body(Body::empty()).unwrap();
        let html = recorded(&send(dashboard(&fake).router(who), request).await.html);
        let file = folder.join(format!("{name}.html"));
        if bless {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&file, &html).unwrap();
        }
        let before = fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
        if before != html {
            changed.push(format!("{name}:\n{html}"));
        }
    }
    assert!(changed.is_empty(), "if on purpose, DATA_DRIP_BLESS=1 records it:\n{}", changed.join("\n"));
}

/// Without what differs from run to run: the hash of the assets, and the clock. Lines without blanks at their ends.
fn recorded(html: &str) -> String {
    let folder = assets::FOLDER.replace('/', "&#x2f;");
    let html = html.replace(folder.as_str(), "{assets}").replace(assets::FOLDER.as_str(), "{assets}");
    let html = match html.split_once("<span data-when>It is ") {
        Some((before, after)) => {
            let after = after.split_once(" now.").map_or("", |(_, after)| after);
            format!("{before}<span data-when>It is {{now}} now.{after}")
        }
        None => html,
    };
    let lines = html.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}
