//! Following a run: live, without losing what the reader has opened, and steering it.

use std::time::Duration;

use data_drip::RunId;
use data_drip::RunStatus;
use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::json;

use crate::chromium::Browser;
use crate::host::{Cable, Host};

/// So that a run is still running when somebody has looked at it, however busy the machine is.
const SLOWLY: Duration = Duration::from_secs(1);
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
    started(&browser, &host, "utc_shifts").await;
    browser.status("failed").await;
    // Marked before the first update can come: nothing that the page has is made anew by it.
    let mark = "addEventListener('DOMContentLoaded', () => { \
                for (const e of document.querySelectorAll('[data-live] *')) e.mark = true; })";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": mark })).await;
    browser.client.goto(&host.page("/backfill_runs/1?batch_status=failed")).await.unwrap();
    browser.run(MARK).await;
    browser.find("//*[@id='beat'][@class='beat live']").await;
    let made_anew = "[...document.querySelectorAll('[data-live] *')].filter((e) => !e.mark).map((e) => e.outerHTML)";
    assert_eq!(browser.run(&format!("return {made_anew}")).await, json!([]));
    browser
        .find("//details/summary[contains(., 'row 700: 2013-11-03 01:00 <America/New_York>')]")
        .await
        .click()
        .await
        .unwrap();
    let whole = browser.find("//details/pre").await;
    assert!(whole.is_displayed().await.unwrap());
    assert!(whole.text().await.unwrap().contains("<America/New_York>"));
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
    started(&browser, &host, "utc_shifts").await;
    browser.status("failed").await;
    browser
        .find("//ul[@class='failures']/li[contains(., '1×') and contains(., 'row 700: 2013-11-03')]/a")
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

/// An error that somebody reads stays when its batch leaves the list, with the row that says whose it is.
#[tokio::test]
async fn what_is_open_stays_with_its_row_and_says_that_it_left_the_list() {
    let name = "what_is_open_stays_with_its_row_and_says_that_it_left_the_list";
    let Some(browser) = Browser::start(name).await else { return };
    let host = Host::start().await;
    let run = host.drip.enqueue_named("utc_shifts", json!({})).await.unwrap();
    host.drip.wait(run.id).await.unwrap();
    browser.client.goto(&host.page("/backfill_runs/1?batch_status=failed")).await.unwrap();
    browser.find("//*[@id='beat'][@class='beat live']").await;
    browser.find("//details/summary[contains(., 'row 700')]").await.click().await.unwrap();
    sqlx::query("INSERT INTO mended VALUES (1)").execute(&host.pool).await.unwrap();
    host.drip.retry_failed_batches(run.id).await.unwrap();
    browser.status("completed").await;
    browser.find("//*[contains(., 'No batch is failed')]").await;
    let rows = "[...document.querySelectorAll('.batches tbody tr')].map((e) => [e.id, e.classList.contains('past')])";
    let kept = json!([["batch-2", true], ["batch-2-error", true]]);
    assert_eq!(browser.run(&format!("return {rows}")).await, kept);
    browser.find("//tr[@id='batch-2']/td[contains(., 'no longer in this list')]").await;
    let words = "return document.body.textContent.split('no longer in this list').length - 1";
    assert_eq!(browser.run(words).await, json!(1), "once for both");
    browser.look("run-error-kept").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

/// What cannot be undone takes a choice: neither Enter nor a second click makes it.
#[tokio::test]
async fn a_question_is_asked_once_and_the_way_back_has_the_focus() {
    let name = "a_question_is_asked_once_and_the_way_back_has_the_focus";
    let Some(browser) = Browser::start(name).await else { return };
    let host = Host::start().await;
    let tomorrow = chrono::Utc::now() + chrono::TimeDelta::days(1);
    let run = host.drip.enqueue_named("recount_orders", json!({})).start_at(tomorrow).await.unwrap();
    browser.client.goto(&host.page(&format!("/backfill_runs/{}", run.id))).await.unwrap();
    browser.find("//*[@id='beat'][@class='beat live']").await;
    let twice = "const link = document.getElementById('act-stop'); link.focus(); link.click(); link.click()";
    let focused = "document.activeElement.matches('dialog[open] [data-dismiss]')";
    for key in [Key::Escape, Key::Enter] {
        browser.run(twice).await;
        browser.until("the way back has the focus", focused).await;
        // The answer to a second question would be there by now as well.
        browser.run("return fetch(location.href).then(() => null)").await;
        assert_eq!(browser.run("return document.querySelectorAll('dialog').length").await, 1);
        browser.press(key).await;
        browser.until("the question is gone", "document.querySelector('dialog') === null").await;
        browser.until("the focus is back", "document.activeElement.id === 'act-stop'").await;
    }
    assert_eq!(host.drip.run(run.id).await.unwrap().status, RunStatus::Pending);
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn a_run_is_steered_and_the_host_ends_with_the_page_open() {
    let Some(browser) = Browser::start("a_run_is_steered_and_the_host_ends_with_the_page_open").await else { return };
    let host = Host::start().await;
    started(&browser, &host, "recount_orders&sleep=0.5").await;
    browser.status("running").await;
    browser.run(MARK).await;
    let percent = "Number(document.querySelector('.gauge .bar')?.getAttribute('aria-valuenow') ?? 0)";
    browser.until("it moves", &format!("{percent} > 3")).await;
    // Between two batches nothing is in flight, and the page does not jump.
    browser.find("//section[@aria-labelledby='flight-title']/ul/li[.='Nothing just now.']").await;
    browser.look("run-running").await;
    // For whom moving things are a trouble, none moves.
    let moves = "getComputedStyle(document.querySelector('h1 .status'), '::before').animationName";
    assert_eq!(browser.run(&format!("return {moves}")).await, "drip");
    let still = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    browser.devtools("Emulation.setEmulatedMedia", still).await;
    assert_eq!(browser.run(&format!("return {moves}")).await, "none");
    browser.scheme("light").await;
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
    let run = host.drip.enqueue_named("recount_orders", json!({})).sleep(SLOWLY).await.unwrap();
    browser.find(&format!("//tr[@id='run-{}']//span[@class='status running']", run.id)).await;
    assert_eq!(browser.run("return window.mark").await, "still here");
    browser.look("runs").await;
    host.drip.stop(run.id).now().await.unwrap();
    assert_eq!(host.drip.wait(run.id).await.unwrap().status, RunStatus::Stopped);
    browser.find(&format!("//*[@id='said'][.='Run {} is stopped']", run.id)).await;
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
    let run = host.drip.enqueue_named("recount_orders", json!({})).sleep(SLOWLY).await.unwrap();
    browser.devtools("Network.enable", json!({})).await;
    browser.devtools("Network.setBlockedURLs", json!({ "urls": ["*/live*"] })).await;
    browser.client.goto(&host.page(&format!("/backfill_runs/{}", run.id))).await.unwrap();
    browser.run(MARK).await;
    browser.find("//*[@id='beat'][contains(@class, 'polling')]").await;
    host.drip.pause(run.id).await.unwrap();
    browser.status("paused").await;
    browser.find(&format!("//*[@id='said'][.='Run {} is paused']", run.id)).await;
    assert_eq!(browser.run("return window.mark").await, "still here");
    // Who is signed out sees why nothing happens any more, and hears it once.
    host.sign_in(false);
    browser.find("//*[@id='beat'][@class='beat away'][.='your session may have ended']").await;
    browser.find("//*[@id='said'][.='This page stands still: your session may have ended']").await;
    host.sign_in(true);
    browser.find("//*[@id='beat'][@class='beat polling'][.='every 5 s']").await;
    browser.find("//*[@id='said'][.='This page follows again']").await;
    host.drip.stop(run.id).await.unwrap();
    host.drip.delete(run.id).await.unwrap();
    browser.find("//*[@id='beat'][.='not there any more']").await;
    browser.close().await;
    host.stop().await;
}

/// A tab in the background asks for nothing; what happened meanwhile is there when it is looked at again.
#[tokio::test]
async fn a_hidden_tab_is_told_nothing_until_it_is_looked_at_again() {
    let Some(browser) = Browser::start("a_hidden_tab_is_told_nothing_until_it_is_looked_at_again").await else {
        return;
    };
    let host = Host::start().await;
    // Which streams the page has opened.
    let count = "window.streams = []; window.EventSource = class extends EventSource { \
                 constructor(url) { super(url); window.streams.push(this); } }";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": count })).await;
    let run = host.drip.enqueue_named("recount_orders", json!({})).sleep(SLOWLY).await.unwrap();
    browser.client.goto(&host.page(&format!("/backfill_runs/{}", run.id))).await.unwrap();
    browser.find("//*[@id='beat'][@class='beat live']").await;
    let visible = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    browser.run(&visible(true)).await;
    let states = "return streams.map((stream) => stream.readyState)";
    assert_eq!(browser.run(states).await, json!([2]), "it is closed");
    host.drip.pause(run.id).await.unwrap();
    let shown = "return document.querySelector('h1 .status').textContent";
    let before = browser.run(shown).await;
    browser.run(&visible(false)).await;
    browser.status("paused").await;
    assert_ne!(before, json!("paused"), "nothing was told while it was hidden");
    assert_eq!(browser.run("return streams.length").await, 2);
    host.drip.stop(run.id).await.unwrap();
    browser.status("stopped").await;
    // Somebody else deletes it.
    let settled = host.drip.wait(run.id).await.unwrap();
    host.drip.delete(settled.id).await.unwrap();
    browser.find("//*[@id='beat'][.='deleted']").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

/// A stream that breaks is opened again by itself, and a page that the reader is typing in stays as it is.
#[tokio::test]
async fn a_stream_that_breaks_is_taken_up_again() {
    let Some(browser) = Browser::start("a_stream_that_breaks_is_taken_up_again").await else { return };
    let host = Host::start().await;
    let cable = Cable::to(&host).await;
    browser.client.goto(&format!("{}/data_drip/backfill_runs", cable.origin)).await.unwrap();
    browser.run(MARK).await;
    browser.find("//*[@id='beat'][@class='beat live']").await;
    browser.find("//input[@type='search']").await.send_keys("recou").await.unwrap();
    cable.cut();
    browser.find("//*[@id='beat'][.='connecting']").await;
    let run = host.drip.enqueue_named("recount_orders", json!({})).sleep(SLOWLY).await.unwrap();
    browser.find(&format!("//tr[@id='run-{}']//span[@class='status running']", run.id)).await;
    browser.find("//*[@id='beat'][@class='beat live']").await;
    let typed = browser.find("//input[@type='search']").await.prop("value").await.unwrap();
    assert_eq!(typed.as_deref(), Some("recou"), "what was typed is lost");
    assert_eq!(browser.run("return window.mark").await, "still here", "the page was loaded anew");
    host.drip.stop(run.id).now().await.unwrap();
    browser.close().await;
    host.stop().await;
}
