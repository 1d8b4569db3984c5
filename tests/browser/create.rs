//! Starting a run: by keyboard, by form, in a time zone, from an old run.

use data_drip::{RunId, RunStatus};
use fantoccini::key::Key;
use serde_json::json;

use crate::chromium::Browser;
use crate::host::Host;

#[tokio::test]
async fn a_run_is_created_by_keyboard_alone() {
    let Some(browser) = Browser::start("a_run_is_created_by_keyboard_alone").await else { return };
    let host = Host::start().await;
    browser.client.goto(&host.page("/")).await.unwrap();
    assert!(browser.text().await.contains("Nothing has run yet"));
    browser.look("runs-empty").await;
    browser.tab_to("New run").await;
    browser.press(Key::Enter).await;

    // The picker has the focus; a few letters of the name are enough.
    browser.find("//label[contains(., 'Which backfill?')]").await;
    browser.look("new-picker").await;
    browser.type_in("rec").await;
    browser.find("//li[@class='chosen'][contains(., 'recount_orders')]").await;
    browser.press(Key::Backspace).await;
    browser.press(Key::Backspace).await;
    browser.press(Key::Backspace).await;
    browser.type_in("adrole").await;
    browser.find("//li[@class='chosen'][contains(., 'add_role')]").await;
    browser.press(Key::Enter).await;

    browser.find("//h1[.='New run of add_role']").await;
    browser.tab_to("Department").await;
    browser.type_in("Sales").await;
    browser.tab_to("Limit").await;
    browser.type_in("150").await;
    // What will happen is said before the click.
    browser
        .find("//*[@id='preview']//*[contains(., '150') and contains(., 'of 2,000') and contains(., 'employees')]")
        .await;
    browser.find("//*[@id='preview']//summary[contains(., 'One batch: ')]").await;
    browser.look("new").await;
    browser.tab_to("Start run").await;
    browser.press(Key::Enter).await;
    browser.status("completed").await;
    let text = browser.text().await;
    for part in ["150 of 150", "Grace Hopper", "Sales", "100.0 %"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    browser.look("run-completed").await;
    browser.client.goto(&host.page("/backfills")).await.unwrap();
    browser.look("backfills").await;
    browser.find("//input[@type='search']").await.send_keys("recount_orders").await.unwrap();
    browser
        .until("only what matches is shown", "document.querySelectorAll('.backfill:not([hidden])').length === 1")
        .await;
    // What the server has left out is found as well, by any line of its text.
    browser.client.goto(&host.page("/backfills?search=nonesuch")).await.unwrap();
    assert!(browser.text().await.contains("No backfill matches."));
    let search = browser.find("//input[@type='search']").await;
    search.clear().await.unwrap();
    search.send_keys("safe to repeat").await.unwrap();
    browser.find("//article[not(@hidden)]//h2[.='add_role']").await;
    let shown = "return [document.querySelectorAll('.backfill:not([hidden])').length, document.getElementById('cards-none').hidden]";
    assert_eq!(browser.run(shown).await, json!([1, true]));
    browser.client.goto(&host.page("/backfill_runs/new?search=nonesuch")).await.unwrap();
    assert!(browser.text().await.contains("No backfill matches."));
    let search = browser.find("//input[@type='search']").await;
    search.clear().await.unwrap();
    search.send_keys("recou").await.unwrap();
    browser.find("//li[@class='chosen'][contains(., 'recount_orders')]").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed() {
    let Some(browser) = Browser::start("a_refused_form_keeps_what_was_typed").await else { return };
    let host = Host::start().await;
    browser.client.goto(&host.page("/backfill_runs/new?backfill=add_role")).await.unwrap();
    // Refused: nobody works there. Everything that was typed is still there.
    browser.field("Department").await.send_keys("Nobody").await.unwrap();
    browser.field("Age").await.send_keys("33").await.unwrap();
    browser.field("Token").await.send_keys("hunter2").await.unwrap();
    browser.find("//label[contains(., 'Active only')]/input").await.click().await.unwrap();
    browser.click("Start run").await;
    browser.find("//*[@role='alert'][contains(., 'no records to process')]").await;
    browser.until("the message has the focus", "document.activeElement.matches('.banner[role=alert]')").await;
    browser.look("new-refused").await;
    let wrong = "const e = document.getElementById('batch_size'); e.min = ''; e.value = '0'; \
                 document.querySelector('.run-form .primary').click()";
    browser.run(wrong).await;
    browser.find("//*[@role='alert']//a[.='Batch size']").await.click().await.unwrap();
    browser.until("the field has the focus", "document.activeElement.id === 'batch_size'").await;
    browser.run("document.getElementById('batch_size').value = '100'").await;
    browser.field("Token").await.send_keys("hunter2").await.unwrap();
    browser.click("Start run").await;
    browser.find("//*[@role='alert'][contains(., 'no records to process')]").await;
    assert_eq!(browser.field("Age").await.prop("value").await.unwrap().as_deref(), Some("33"));
    let ticked = browser.find("//label[contains(., 'Active only')]/input").await.is_selected().await.unwrap();
    assert!(!ticked, "unticked was forgotten");
    assert_eq!(browser.field("Token").await.prop("value").await.unwrap().as_deref(), Some(""), "a secret came back");

    let department = browser.field("Department").await;
    department.clear().await.unwrap();
    department.send_keys("Sales").await.unwrap();
    browser.click("Start run").await;
    browser.status("completed").await;
    assert!(!browser.text().await.contains("hunter2"));

    // The same once more, from the run.
    browser.click("Run again").await;
    assert!(browser.text().await.contains("Filled in as in run 1"));
    assert_eq!(browser.field("Department").await.prop("value").await.unwrap().as_deref(), Some("Sales"));
    // The status is that of the response to the refused form; Chromium reports it, and nothing else.
    let console = browser.console().await;
    assert!(console.iter().all(|line| line.contains("422")), "{console:?}");
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn many_choices_are_searched_and_chosen_at_once() {
    let Some(browser) = Browser::start("many_choices_are_searched_and_chosen_at_once").await else { return };
    let host = Host::start().await;
    browser.client.goto(&host.page("/backfill_runs/new?backfill=normalise_postal_codes")).await.unwrap();
    browser.find("//input[@aria-label='Search in Countries']").await.send_keys("land").await.unwrap();
    browser.click("Select all").await;
    browser.look("new-many").await;
    browser.find("//label[contains(., 'Skip unreadable')]/input").await.click().await.unwrap();
    browser.click("Start run").await;
    browser.status("completed").await;
    let run = host.drip.run(RunId(1)).await.unwrap();
    assert_eq!(run.options["countries"], json!(["netherlands", "poland"]));
    assert_eq!(run.options["skip_unreadable"], json!(false), "unticked is sent");
    browser.find("//div[@class='log']//li[contains(., 'normalised') and contains(., 'codes=')]").await;
    browser.look("run-log").await;
    browser.click("warn and worse").await;
    browser.find("//div[@class='log']//li[@class='warn'][contains(., 'codes that cannot be read')]").await;
    browser.client.goto(&host.page("/backfill_runs/1/batches/1")).await.unwrap();
    browser.click("In the run’s log, live").await;
    browser.find("//section[@aria-labelledby='log']//p[starts-with(normalize-space(), 'Only batch 1')]").await;
    browser.find("//*[@id='beat'][@class='beat live']").await;
    let batches = "[...new Set([...document.querySelectorAll('.log a')].map((link) => link.textContent))]";
    assert_eq!(browser.run(&format!("return {batches}")).await, json!(["batch 1"]));
    browser.look("run-log-of-batch").await;
    browser.client.goto(&host.page("/workers")).await.unwrap();
    browser.find("//article[contains(., 'alive') and contains(., 'Slots busy')]").await;
    browser.look("workers").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn a_run_is_scheduled_in_the_readers_time_zone() {
    let Some(browser) = Browser::start("a_run_is_scheduled_in_the_readers_time_zone").await else { return };
    let host = Host::start().await;
    browser.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "America/New_York" })).await;
    browser.client.goto(&host.page("/backfill_runs/new?backfill=recount_orders")).await.unwrap();
    browser.find("//label[contains(., 'At a time')]/input").await.click().await.unwrap();
    let zone = browser.find("//select[@aria-label='Time zone of the start']").await;
    assert_eq!(zone.prop("value").await.unwrap().as_deref().map(str::len), Some("-05:00".len()));
    // Typed as a picker sets it: what keys do in such a field depends on the language of the machine.
    let typed = "const e = document.getElementById('start_at'); e.value = '2098-07-01T18:30'; \
                 e.dispatchEvent(new Event('input', { bubbles: true }))";
    browser.run(typed).await;
    browser.find("//*[contains(., 'That is 1 Jul 2098') and contains(., '22:30:00 UTC')]").await;
    browser.look("new-scheduled").await;
    browser.click("Start run").await;
    browser.status("pending").await;
    let run = host.drip.run(RunId(1)).await.unwrap();
    assert_eq!(run.status, RunStatus::Pending);
    assert_eq!(run.start_at.unwrap().to_rfc3339(), "2098-07-01T22:30:00+00:00", "daylight saving time, in July");
    let shown = browser.find("//dt[.='Not before']/following-sibling::dd/time").await;
    assert!(shown.text().await.unwrap().contains("18:30"), "{}", shown.text().await.unwrap());
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn a_time_to_come_has_two_units() {
    let Some(browser) = Browser::start("a_time_to_come_has_two_units").await else { return };
    let host = Host::start().await;
    let later = |ahead: i64| chrono::Utc::now() + chrono::TimeDelta::seconds(ahead);
    let soon = 9 * 3600 - 30;
    host.drip.enqueue_named("recount_orders", json!({})).start_at(later(soon)).await.unwrap();
    host.drip.enqueue_named("utc_shifts", json!({})).start_at(later(2 * 86400 + 3 * 3600 + 60)).await.unwrap();
    browser.client.goto(&host.page("/backfill_runs")).await.unwrap();
    browser.find("//tr[@id='run-1']//div[normalize-space()='starts in 8 h 59 min']").await;
    browser.find("//tr[@id='run-2']//div[normalize-space()='starts in 2 d 3 h']").await;
    browser.client.goto(&host.page("/backfill_runs/new?backfill=recount_orders")).await.unwrap();
    browser.find("//label[contains(., 'At a time')]/input").await.click().await.unwrap();
    let at = later(soon).format("%Y-%m-%dT%H:%M:%S");
    let typed = format!(
        "const e = document.getElementById('start_at'); e.value = '{at}'; \
         document.querySelector('[name=zone]').value = ''; e.dispatchEvent(new Event('input', {{ bubbles: true }}))"
    );
    browser.run(&typed).await;
    browser.find("//*[@data-when][contains(., 'in 8 h 59 min.')]").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

/// A browser does not send a form with half a date in it; where it is hidden, nobody would know why nothing happens.
#[tokio::test]
async fn half_a_start_time_does_not_keep_a_run_from_starting_now() {
    let Some(browser) = Browser::start("half_a_start_time_does_not_keep_a_run_from_starting_now").await else { return };
    let host = Host::start().await;
    browser.client.goto(&host.page("/backfill_runs/new?backfill=archive_orders")).await.unwrap();
    browser.find("//label[contains(., 'At a time')]/input").await.click().await.unwrap();
    browser.field("Start at").await.send_keys("12").await.unwrap();
    let half = "document.getElementById('start_at').validity.badInput";
    browser.until("half of it is typed", half).await;
    browser.find("//label[contains(., 'Now')]/input").await.click().await.unwrap();
    browser.click("Start run").await;
    browser.status("completed").await;
    assert_eq!(host.drip.run(RunId(1)).await.unwrap().start_at, None);
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

/// An update does not open again what the reader has closed, nor close what is open, nor touch what is typed.
#[tokio::test]
async fn what_the_reader_closed_stays_closed() {
    let Some(browser) = Browser::start("what_the_reader_closed_stays_closed").await else { return };
    let host = Host::start().await;
    let filled_in = "/backfill_runs/new?backfill=add_role&options[department]=Sales&limit=300";
    browser.client.goto(&host.page(filled_in)).await.unwrap();
    browser.find("//*[@id='preview']//summary[.='Some of the rows']").await.click().await.unwrap();
    browser.find("//*[@id='preview']//summary[contains(., 'One batch: ')]").await.click().await.unwrap();
    let open = "[...document.querySelectorAll('#preview details')].map((e) => e.open)";
    let before = browser.run(&format!("return {open}")).await;
    assert_eq!(before, json!([false, true, false]), "all rows, one batch, some of the rows");
    let limit = browser.field("Limit").await;
    limit.clear().await.unwrap();
    limit.send_keys("120").await.unwrap();
    browser.find("//*[@id='preview']//*[contains(., '120') and contains(., 'of 2,000')]").await;
    assert_eq!(browser.run(&format!("return {open}")).await, before);
    assert_eq!(browser.field("Limit").await.prop("value").await.unwrap().as_deref(), Some("120"));
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

/// Rows of what was typed before must not stand below the answer to what is typed now.
#[tokio::test]
async fn a_preview_shows_what_matches_now_and_nothing_of_before() {
    let Some(browser) = Browser::start("a_preview_shows_what_matches_now_and_nothing_of_before").await else { return };
    let host = Host::start().await;
    browser.client.goto(&host.page("/backfill_runs/new?backfill=add_role&options[department]=Sales")).await.unwrap();
    let one = "document.querySelectorAll('#preview .sample tbody').length === 1";
    browser.until("rows are shown", one).await;
    browser.find("//*[@id='preview']//summary[contains(., 'One batch: ')]").await.click().await.unwrap();
    browser.field("Department").await.send_keys("man").await.unwrap();
    browser.find("//*[@id='preview']//*[contains(., 'No row matches')]").await;
    let gone = "document.querySelectorAll('#preview .sample, #preview .foretold, #preview .past').length === 0";
    browser.until("nothing is left of the rows", gone).await;
    browser.look("new-none-matches").await;
    let department = browser.field("Department").await;
    department.clear().await.unwrap();
    department.send_keys("Sales").await.unwrap();
    browser.find("//*[@id='preview']//*[contains(@class, 'big')][.='2,000']").await;
    browser.until("rows are shown once", one).await;
    let open = "[...document.querySelectorAll('#preview details')].map((e) => e.open)";
    assert_eq!(browser.run(&format!("return {open}")).await, json!([false, true, true]), "open as they were left");

    // The same run is active, and then it is not.
    let active = host.drip.enqueue_named("add_role", json!({ "department": "Sales" }));
    let active = active.start_at(chrono::Utc::now() + chrono::TimeDelta::days(1)).await.unwrap();
    let again = "document.getElementById('batch_size').dispatchEvent(new Event('input', { bubbles: true }))";
    browser.run(again).await;
    browser.find("//*[@id='preview']/*[@class='banner'][contains(., 'The same run is active')]").await;
    browser.run("document.querySelector('#preview .banner a').focus()").await;
    host.drip.stop(active.id).await.unwrap();
    browser.run(again).await;
    browser.until("the banner is gone", "document.querySelector('#preview .banner') === null").await;
    browser.until("rows are shown once", one).await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
    host.stop().await;
}

/// A number that was right for something else must not stay beside the form.
#[tokio::test]
async fn a_preview_that_is_not_answered_says_why() {
    let Some(browser) = Browser::start("a_preview_that_is_not_answered_says_why").await else { return };
    let host = Host::start().await;
    browser.client.goto(&host.page("/backfill_runs/new?backfill=add_role&options[department]=Sales")).await.unwrap();
    browser.find("//*[@id='preview']//*[contains(@class, 'big')][.='2,000']").await;
    host.sign_in(false);
    browser.field("Limit").await.send_keys("5").await.unwrap();
    browser.find("//*[@id='preview'][contains(., 'No answer.') and contains(., 'Your session may have ended')]").await;
    browser.find("//*[@id='preview'][not(contains(., '2,000'))]").await;
    browser.look("new-signed-out").await;
    host.sign_in(true);
    // More than a form may send: refused with a page of its own.
    let long = "const e = document.getElementById('option-department'); e.value = 'x'.repeat(300000); \
                e.dispatchEvent(new Event('input', { bubbles: true }))";
    browser.run(long).await;
    browser.find("//*[@id='preview'][contains(., 'No answer.') and contains(., '256 KiB at most')]").await;
    browser.run(&long.replace("'x'.repeat(300000)", "'Sales'")).await;
    browser.find("//*[@id='preview']//*[contains(@class, 'foretold')][contains(., 'of 2,000')]").await;
    browser.find("//*[@id='preview'][not(contains(., 'No answer'))]").await;
    browser.close().await;
    host.stop().await;
}

#[tokio::test]
async fn a_run_is_sent_to_a_queue() {
    let Some(browser) = Browser::start("a_run_is_sent_to_a_queue").await else { return };
    let host = Host::start().await;
    browser.client.goto(&host.page("/backfill_runs/new?backfill=recount_orders&sleep=1")).await.unwrap();
    let queue = browser.field("Queue").await;
    assert_eq!(queue.prop("value").await.unwrap().as_deref(), Some("default"));
    queue.clear().await.unwrap();
    queue.send_keys("nightly").await.unwrap();
    browser.click("Start run").await;
    // The host's worker takes any.
    browser.status("running").await;
    browser.find("//dt[.='Queue']/following-sibling::dd[.='nightly']").await;
    assert_eq!(host.drip.run(RunId(1)).await.unwrap().queue, "nightly");
    host.drip.stop(RunId(1)).now().await.unwrap();
    browser.status("stopped").await;
    browser.close().await;
    host.stop().await;
}
