//! For everybody: those who may only look, those without JavaScript, and pages that refuse.

use data_drip::RunId;
use fantoccini::Locator;
use serde_json::json;

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
