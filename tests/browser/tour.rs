//! Every page with something on it. With `DATA_DRIP_PICTURES` set to a folder, small pictures of them go there: that is
//! what `bin/pictures` does for `docs/dashboard.md`.

use std::path::PathBuf;

use data_drip::Backfiller;
use serde_json::json;

use crate::chromium::Browser;
use crate::host::Host;

const DESK: (u32, u32) = (1280, 860);
const PHONE: (u32, u32) = (390, 780);

#[tokio::test]
async fn every_page_has_a_good_look() {
    let Some(browser) = Browser::start("every_page_has_a_good_look").await else { return };
    let host = Host::start().await;
    let folder = std::env::var_os("DATA_DRIP_PICTURES").map(PathBuf::from);
    let picture = async |name: &str, size: (u32, u32)| {
        if let Some(folder) = &folder {
            browser.picture(folder, name, size).await;
        }
    };
    let filled_in = "/backfill_runs/new?backfill=add_role&options[department]=Sales&options[age]=30&limit=300";
    browser.client.goto(&host.page(filled_in)).await.unwrap();
    browser.find("//*[@id='preview']//summary[.='Some of the rows']").await;
    browser.look("tour-new").await;
    picture("new", DESK).await;
    a_week(&host).await;

    let running = host.drip.enqueue_named("recount_orders", json!({})).by(&grace()).await.unwrap();
    browser.client.goto(&host.page(&format!("/backfill_runs/{}", running.id))).await.unwrap();
    let percent = "Number(document.querySelector('.gauge .bar')?.getAttribute('aria-valuenow') ?? 0)";
    browser.until("it is well under way", &format!("{percent} > 42")).await;
    picture("run", DESK).await;
    picture("run-phone", PHONE).await;
    browser.client.goto(&host.page("/backfill_runs")).await.unwrap();
    browser.find("//*[@id='beat'][@class='beat live']").await;
    picture("runs", DESK).await;
    browser.client.goto(&host.page("/workers")).await.unwrap();
    picture("workers", (1280, 420)).await;
    host.drip.wait(running.id).await.unwrap();

    for (name, path, size) in [
        ("failed", "/backfill_runs/2?batch_status=failed".to_owned(), DESK),
        ("backfills", "/backfills".to_owned(), DESK),
        ("picker", "/backfill_runs/new".to_owned(), (1280, 620)),
        ("again", "/backfill_runs/new?again=1".to_owned(), DESK),
    ] {
        browser.client.goto(&host.page(&path)).await.unwrap();
        let settled = "document.querySelector('#preview :not(.muted), body:not(:has(#preview))') !== null";
        browser.until("nothing is under way", &format!("{settled} && !document.querySelector('[aria-busy]')")).await;
        browser.run("document.querySelectorAll('details.error').forEach((error) => { error.open = true; })").await;
        browser.look(&format!("tour-{name}")).await;
        if name != "again" {
            picture(name, size).await;
        }
    }
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

fn grace() -> Backfiller {
    Backfiller::new(7, "Grace Hopper")
}

/// Runs that came to all kinds of ends.
async fn a_week(host: &Host) {
    let drip = &host.drip;
    let katherine = Backfiller::new(9, "Katherine Johnson");
    let trial = json!({ "department": "Sales", "age": 30, "moment": "2026-01-31T12:00:00Z" });
    let run = drip.enqueue_named("add_role", trial).limit(300).by(&grace()).await.unwrap();
    drip.wait(run.id).await.unwrap();
    let run = drip.enqueue_named("utc_shifts", json!({})).by(&katherine).await.unwrap();
    drip.wait(run.id).await.unwrap();
    let codes = json!({ "countries": ["austria", "poland"] });
    let run = drip.enqueue_named("normalise_postal_codes", codes).batch_size(50).by(&katherine).await.unwrap();
    drip.wait(run.id).await.unwrap();
    let run = drip.enqueue_named("recount_orders", json!({})).limit(30_000).by(&grace()).await.unwrap();
    while drip.run(run.id).await.unwrap().counts.completed < 20 {
        tokio::task::yield_now().await;
    }
    drip.stop(run.id).by(&katherine).await.unwrap();
    drip.wait(run.id).await.unwrap();
    let tonight = chrono::Utc::now() + chrono::TimeDelta::hours(9);
    let later = json!({ "countries": ["germany"] });
    drip.enqueue_named("normalise_postal_codes", later).start_at(tonight).by(&grace()).await.unwrap();
}
