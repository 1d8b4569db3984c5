//! The dashboard in a real Chromium, found by role and label, as a person finds things. The console must stay empty:
//! it is where refusals of the content security policy are reported.
//!
//! Pictures of every page go to `target/tmp/screenshots`.

#![cfg(all(feature = "dashboard", feature = "sqlite"))]
#![allow(clippy::unused_self, reason = "a scope takes `&self`, needed or not")]

mod chromium;
mod host;

use std::path::{Path, PathBuf};

use self::chromium::Browser;
use self::host::Host;

fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_run_is_created_by_form_and_watched_to_its_end() {
    let Some(browser) = Browser::start("a_run_is_created_by_form_and_watched_to_its_end").await else { return };
    let host = Host::start().await;
    browser.client.goto(&format!("{}/data_drip/", host.origin)).await.unwrap();
    assert!(browser.text().await.contains("Nothing has run yet"));
    browser.screenshots(&pictures(), "runs-empty").await;
    browser.click("Backfills").await;
    browser.find("//h2[.='add_role']").await;
    browser.screenshots(&pictures(), "backfills").await;
    browser.click("Runs").await;
    browser.click("New run").await;
    browser.screenshots(&pictures(), "new-picker").await;
    browser.find("//a[strong='add_role']").await.click().await.unwrap();
    browser.screenshots(&pictures(), "new").await;

    // Refused: nobody works there. Everything that was typed is still there.
    browser.field("Department").await.send_keys("Nobody").await.unwrap();
    browser.field("Age").await.send_keys("33").await.unwrap();
    browser.field("Token").await.send_keys("hunter2").await.unwrap();
    browser.find("//label[contains(., 'Active only')]/input").await.click().await.unwrap();
    browser.click("Start run").await;
    browser.find("//*[@role='alert'][contains(., 'no records to process')]").await;
    browser.screenshots(&pictures(), "new-refused").await;
    assert_eq!(browser.field("Age").await.prop("value").await.unwrap().as_deref(), Some("33"));
    let ticked = browser.find("//label[contains(., 'Active only')]/input").await.is_selected().await.unwrap();
    assert!(!ticked, "unticked was forgotten");
    assert_eq!(browser.field("Token").await.prop("value").await.unwrap().as_deref(), Some(""), "a secret came back");

    let department = browser.field("Department").await;
    department.clear().await.unwrap();
    department.send_keys("Sales").await.unwrap();
    browser.click("Start run").await;
    // Nothing is clicked from here on: the page follows the run by itself.
    browser.status("completed").await;
    let text = browser.text().await;
    for part in ["2,000 of 2,000", "Grace Hopper", "Sales", "not shown"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("hunter2"));
    browser.screenshots(&pictures(), "run-completed").await;
    browser.click("Runs").await;
    browser.find("//table[contains(@class, 'runs')]//a[.='add_role']").await;
    browser.screenshots(&pictures(), "runs").await;
    // The status is that of the response to the refused form; Chromium reports it, and nothing else.
    let console = browser.console().await;
    assert!(console.iter().all(|line| line.contains("422")), "{console:?}");
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn an_error_is_opened_mended_and_retried() {
    let Some(browser) = Browser::start("an_error_is_opened_mended_and_retried").await else { return };
    let host = Host::start().await;
    browser.client.goto(&format!("{}/data_drip/backfill_runs/new?backfill=poisoned", host.origin)).await.unwrap();
    browser.click("Start run").await;
    browser.status("failed").await;
    let summary = browser.find("//details/summary[contains(., 'row 700 has <script>')]").await;
    let whole = browser.find("//details/pre").await;
    assert!(!whole.is_displayed().await.unwrap());
    summary.click().await.unwrap();
    assert!(whole.is_displayed().await.unwrap());
    assert!(whole.text().await.unwrap().contains("<script>alert(1)</script>"));
    browser.screenshots(&pictures(), "run-failed").await;
    browser.find("//table[contains(@class, 'batches')]//tr[@class='with-error']/th/a").await.click().await.unwrap();
    browser.find("//pre[contains(., 'row 700')]").await;
    browser.screenshots(&pictures(), "batch-failed").await;

    sqlx::query("INSERT INTO mended VALUES (1)").execute(&host.pool).await.unwrap();
    browser.client.back().await.unwrap();
    browser.click("Retry failed batches").await;
    browser.status("completed").await;
    assert!(browser.text().await.contains("retried failed batches by Grace Hopper"));
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn a_run_is_stopped_resumed_and_deleted_and_the_host_ends_with_the_page_open() {
    let Some(browser) =
        Browser::start("a_run_is_stopped_resumed_and_deleted_and_the_host_ends_with_the_page_open").await
    else {
        return;
    };
    let host = Host::start().await;
    browser.client.goto(&format!("{}/data_drip/backfill_runs/new?backfill=slow", host.origin)).await.unwrap();
    browser.click("Start run").await;
    browser.status("running").await;
    browser.screenshots(&pictures(), "run-running").await;
    browser.click("Pause").await;
    browser.status("paused").await;
    browser.click("Resume").await;
    browser.status("running").await;
    browser.click("Stop…").await;
    browser.screenshots(&pictures(), "stop").await;
    browser.click("Stop").await;
    browser.status("stopped").await;
    browser.click("Resume").await;
    browser.status("running").await;
    browser.click("Stop…").await;
    browser.click("Stop now").await;
    browser.status("stopped").await;
    browser.screenshots(&pictures(), "run-stopped").await;
    let page = browser.client.current_url().await.unwrap();
    browser.client.goto(&page.as_str().replace("/data_drip/", "/look/")).await.unwrap();
    assert!(browser.text().await.contains("read only"));
    assert!(browser.client.find_all(fantoccini::Locator::Css("form, button")).await.unwrap().is_empty());
    browser.client.goto(page.as_str()).await.unwrap();
    browser.click("Delete…").await;
    browser.screenshots(&pictures(), "delete").await;
    browser.find("//button[starts-with(., 'Delete run')]").await.click().await.unwrap();
    browser.find("//*[contains(., 'Nothing has run yet')]").await;
    assert_eq!(browser.console().await, Vec::<String>::new());

    browser.client.goto(&format!("{}/data_drip/backfill_runs/1", host.origin)).await.unwrap();
    assert!(browser.text().await.contains("there is no run 1"));
    browser.screenshots(&pictures(), "not-found").await;
    browser.client.goto(&format!("{}/data_drip/backfill_runs", host.origin)).await.unwrap();
    host.stop().await;
    browser.close().await;
}
