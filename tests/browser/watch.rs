//! Following a run: live, without losing what the reader has opened, and steering it.

use data_drip::RunId;
use data_drip::RunStatus;
use fantoccini::Locator;
use serde_json::json;

use crate::chromium::Browser;
use crate::host::Host;

/// Survives only as long as the page is not loaded anew.
const MARK: &str = "window.mark = 'still here'";

async fn started(browser: &Browser, host: &Host, backfill: &str) {
    browser.client.goto(&host.page(&format!("/backfill_runs/new?backfill={backfill}"))).await.unwrap();
    browser.click("Start run").await;
}

#[tokio::test]
async fn a_run_is_watched_live_and_what_is_open_stays_open() {
    let Some(browser) = Browser::start("a_run_is_watched_live_and_what_is_open_stays_open").await else { return };
    let host = Host::start().await;
    started(&browser, &host, "poisoned").await;
    browser.status("failed").await;
    browser.client.goto(&host.page("/backfill_runs/1?batch_status=failed")).await.unwrap();
    browser.run(MARK).await;
    browser.find("//*[@id='beat'][@class='beat live']").await;
    browser.find("//details/summary[contains(., 'row 700 has <script>')]").await.click().await.unwrap();
    let whole = browser.find("//details/pre").await;
    assert!(whole.is_displayed().await.unwrap());
    assert!(whole.text().await.unwrap().contains("<script>alert(1)</script>"));
    browser.look("run-failed").await;
    browser.run("document.querySelector('details').scrollIntoView(); window.scrolled = window.scrollY").await;

    // Somebody else retries it, it fails again, and the page follows.
    let by = data_drip::Backfiller::new(9, "Katherine Johnson");
    host.drip.retry_failed_batches(RunId(1)).by(&by).await.unwrap();
    host.drip.wait(RunId(1)).await.unwrap();
    browser.find("//ol[@class='events']//*[.='Katherine Johnson']").await;
    browser.status("failed").await;
    let open = browser.client.find(Locator::Css("details[open] pre")).await.unwrap();
    assert!(open.is_displayed().await.unwrap(), "the update closed it");
    assert_eq!(browser.run("return window.scrollY === window.scrolled").await, true, "the update scrolled");
    assert_eq!(browser.run("return window.mark").await, "still here", "the page was loaded anew");
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn an_error_is_opened_mended_and_retried() {
    let Some(browser) = Browser::start("an_error_is_opened_mended_and_retried").await else { return };
    let host = Host::start().await;
    started(&browser, &host, "poisoned").await;
    browser.status("failed").await;
    browser
        .find("//ul[@class='failures']/li[contains(., '1×') and contains(., 'row 700 has')]/a")
        .await
        .click()
        .await
        .unwrap();
    browser.find("//pre[contains(., 'row 700')]").await;
    browser.look("batch-failed").await;

    sqlx::query("INSERT INTO mended VALUES (1)").execute(&host.pool).await.unwrap();
    browser.client.back().await.unwrap();
    browser.click("Retry failed batches…").await;
    browser.find("//dialog[@open]//p[contains(., 'failed batches, 1 of 4')]").await;
    browser.look("retry-asked").await;
    browser.find("//dialog[@open]//button[.='Retry failed batches']").await.click().await.unwrap();
    browser.status("completed").await;
    assert!(browser.text().await.contains("retried failed batches by Grace Hopper"));
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn a_run_is_steered_and_the_host_ends_with_the_page_open() {
    let Some(browser) = Browser::start("a_run_is_steered_and_the_host_ends_with_the_page_open").await else { return };
    let host = Host::start().await;
    started(&browser, &host, "slow").await;
    browser.status("running").await;
    browser.run(MARK).await;
    let percent = "Number.parseFloat(document.querySelector('.gauge .big').textContent)";
    browser.until("it moves", &format!("{percent} > 3")).await;
    browser.look("run-running").await;
    let before = browser.run(&format!("return {percent}")).await;
    browser.until("it moves on", &format!("{percent} > {before}")).await;
    assert_eq!(browser.run("return window.mark").await, "still here", "the page was loaded anew");
    browser.act("Pause…", "Pause").await;
    browser.status("paused").await;
    browser.act("Resume…", "Resume").await;
    browser.status("running").await;
    browser.click("Stop…").await;
    browser.find("//dialog[@open]").await;
    browser.look("stop-asked").await;
    // Escape, and the way back, change nothing.
    browser.click("Leave it as it is").await;
    browser.until("the question is gone", "document.querySelector('dialog') === null").await;
    browser.act("Stop…", "Stop").await;
    browser.status("stopped").await;
    browser.act("Resume…", "Resume").await;
    browser.status("running").await;
    browser.act("Stop…", "Stop now").await;
    browser.status("stopped").await;
    browser.look("run-stopped").await;

    // Started by somebody else while the list is open.
    browser.client.goto(&host.page("/backfill_runs")).await.unwrap();
    browser.run(MARK).await;
    browser.find("//*[@id='beat'][@class='beat live']").await;
    let run = host.drip.enqueue_named("slow", json!({})).await.unwrap();
    browser.find(&format!("//tr[@id='run-{}']//span[@class='status running']", run.id)).await;
    assert_eq!(browser.run("return window.mark").await, "still here");
    browser.look("runs").await;
    host.drip.stop(run.id).now().await.unwrap();
    assert_eq!(host.drip.wait(run.id).await.unwrap().status, RunStatus::Stopped);
    browser.find(&format!("//tr[@id='run-{}']//a", run.id)).await.click().await.unwrap();
    browser.act("Delete…", &format!("Delete run {}", run.id)).await;
    browser.find("//h1[.='Runs']").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    host.stop().await;
    browser.close().await;
}

/// Where a proxy swallows streams, the page asks for itself now and then.
#[tokio::test]
async fn a_page_is_followed_without_streams() {
    let Some(browser) = Browser::start("a_page_is_followed_without_streams").await else { return };
    let host = Host::start().await;
    let run = host.drip.enqueue_named("slow", json!({})).await.unwrap();
    browser.devtools("Network.enable", json!({})).await;
    browser.devtools("Network.setBlockedURLs", json!({ "urls": ["*/live*"] })).await;
    browser.client.goto(&host.page(&format!("/backfill_runs/{}", run.id))).await.unwrap();
    browser.run(MARK).await;
    browser.find("//*[@id='beat'][contains(@class, 'polling')]").await;
    host.drip.pause(run.id).await.unwrap();
    browser.status("paused").await;
    assert_eq!(browser.run("return window.mark").await, "still here");
    browser.close().await;
    host.stop().await;
}
