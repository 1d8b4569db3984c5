//! For everybody: those who may only look, those without JavaScript, and pages that refuse.

use data_drip::RunId;
use fantoccini::Locator;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::chromium::Browser;
use crate::host::Host;

#[tokio::test]
async fn who_may_only_look_sees_no_action() {
    let Some(browser) = Browser::start("who_may_only_look_sees_no_action").await else { return };
    let host = Host::start().await;
    let run = host.drip.enqueue_named("utc_shifts", json!({})).await.unwrap();
    host.drip.wait(run.id).await.unwrap();
    for path in ["backfill_runs", "backfills", "backfill_runs/1", "backfill_runs/1/batches/2"] {
        browser.client.goto(&format!("{}/look/{path}", host.origin)).await.unwrap();
        assert!(browser.text().await.contains("read only"), "{path}");
        let actions = Locator::Css("form[method='post'], [data-ask], a[href*='/new']");
        assert!(browser.client.find_all(actions).await.unwrap().is_empty(), "{path}");
        browser.look(&format!("look-{}", path.replace('/', "-"))).await;
    }
    // Everything live is as it is for others.
    browser.client.goto(&format!("{}/look/backfill_runs/1", host.origin)).await.unwrap();
    browser.find("//*[@id='beat'][@class='beat live']").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.client.goto(&format!("{}/look/backfill_runs/new", host.origin)).await.unwrap();
    assert!(browser.text().await.contains("You may look at backfills and runs"));
    browser.look("refused").await;
    browser.client.goto(&host.page("/backfill_runs/99")).await.unwrap();
    assert!(browser.text().await.contains("there is no run 99"));
    browser.look("not-found").await;
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn everything_works_without_javascript() {
    let Some(browser) = Browser::start("everything_works_without_javascript").await else { return };
    let host = Host::start().await;
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    browser.client.goto(&host.page("/backfill_runs/new")).await.unwrap();
    browser.find("//a[strong='recount_orders']").await.click().await.unwrap();
    let pause = browser.field("Pause, seconds").await;
    pause.clear().await.unwrap();
    pause.send_keys("1").await.unwrap();
    browser.click("Start run").await;
    // The page loads itself anew; without the reader's doing it follows the run.
    browser.status("running").await;
    browser.click("Pause…").await;
    browser.find("//h1[.='Pause run 1?']").await;
    browser.click("Pause").await;
    browser.status("paused").await;
    browser.click("Stop…").await;
    browser.click("Stop now").await;
    browser.status("stopped").await;
    host.drip.resume(RunId(1)).await.unwrap();
    browser.client.refresh().await.unwrap();
    host.drip.stop(RunId(1)).now().await.unwrap();
    browser.status("stopped").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

/// Every state that a run can be in, the question before each action as a page of its own, and lists with nothing in them.
#[tokio::test]
async fn every_state_and_every_question_has_a_good_look() {
    let Some(browser) = Browser::start("every_state_and_every_question_has_a_good_look").await else { return };
    let host = Host::start().await;
    let tomorrow = chrono::Utc::now() + chrono::TimeDelta::days(1);
    let drip = &host.drip;
    let pending = drip.enqueue_named("recount_orders", json!({})).start_at(tomorrow).await.unwrap().id;
    let paused = drip.enqueue_named("recount_orders", json!({})).limit(500).await.unwrap().id;
    drip.pause(paused).await.unwrap();
    let failed = drip.enqueue_named("utc_shifts", json!({})).await.unwrap().id;
    drip.wait(failed).await.unwrap();
    // Its table goes away before it is due.
    let unplanned = drip.enqueue_named("archive_orders", json!({})).start_at(tomorrow).await.unwrap().id;
    let due = format!("DROP TABLE old_orders; UPDATE data_drip_backfill_runs SET start_at = 1 WHERE id = {unplanned}");
    sqlx::raw_sql(AssertSqlSafe(due)).execute(&host.pool).await.unwrap();
    drip.wait(unplanned).await.unwrap();
    for (name, path, text) in [
        ("pending", format!("/backfill_runs/{pending}"), "Not before"),
        ("paused", format!("/backfill_runs/{paused}"), "Keeps its place"),
        ("unplanned", format!("/backfill_runs/{unplanned}"), "there is no table `old_orders`"),
        ("ask-pause", format!("/backfill_runs/{pending}/pause"), "Pause run"),
        ("ask-stop", format!("/backfill_runs/{pending}/stop"), "Stop run"),
        ("ask-resume", format!("/backfill_runs/{paused}/resume"), "Resume run"),
        ("ask-retry", format!("/backfill_runs/{failed}/retry_failed_batches"), "failed batches"),
        ("ask-again", format!("/backfill_runs/{unplanned}/retry_failed_batches"), "Planning failed"),
        ("ask-delete", format!("/backfill_runs/{failed}/delete"), "Delete run"),
        ("ask-in-vain", format!("/backfill_runs/{failed}/pause"), "failed"),
        ("runs-none", "/backfill_runs?search=nonesuch".to_owned(), "No run matches."),
        ("picker-none", "/backfill_runs/new?search=nonesuch".to_owned(), "No backfill matches."),
        ("log-none", format!("/backfill_runs/{failed}?level=error"), "Log"),
        ("batches-none", format!("/backfill_runs/{failed}?batch_status=stopped"), "No batch is stopped"),
    ] {
        browser.client.goto(&host.page(&path)).await.unwrap();
        assert!(browser.text().await.contains(text), "{path}: {}", browser.text().await);
        browser.look(&format!("state-{name}")).await;
    }
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

/// The database goes away under an open page, which says so, follows again when it is back, and has a page for who comes
/// meanwhile.
#[tokio::test]
async fn a_database_that_is_away_is_said() {
    let Some(browser) = Browser::start("a_database_that_is_away_is_said").await else { return };
    let host = Host::start().await;
    browser.client.goto(&host.page("/backfill_runs")).await.unwrap();
    browser.find("//*[@id='beat'][@class='beat live']").await;
    host.pool.close().await;
    browser.find("//*[@id='beat'][@class='beat away'][.='the database does not answer']").await;
    browser.look("away-live").await;
    for path in ["/backfill_runs", "/backfill_runs/1", "/backfills", "/workers"] {
        browser.client.goto(&host.page(path)).await.unwrap();
        browser.find("//h1[.='The database did not answer']").await;
    }
    browser.look("away").await;
    // Chromium reports the status of each page, and nothing else.
    let console = browser.console().await;
    assert!(console.len() >= 4 && console.iter().all(|line| line.contains("503")), "{console:?}");
    browser.close().await;
}
