//! What pages show, what forms take and keep, what buttons do.

use std::sync::Arc;

use http::{StatusCode, header};

use super::fake::{Fake, refused_fields};
use super::{decoded, get, post};
use crate::dashboard::engine::Verb;
use crate::error::{Error, ErrorKind};
use crate::options::Raw;
use crate::run::{Backfiller, RunId};

const PAGES: &[&str] = &[
    "/backfills",
    "/workers",
    "/backfill_runs",
    "/backfill_runs?status=failed&backfill=recount_orders",
    "/backfill_runs/new",
    "/backfill_runs/new?backfill=add_role_to_employee",
    "/backfill_runs/new?again=3",
    "/backfill_runs/3",
    "/backfill_runs/6",
    "/backfill_runs/9",
    "/backfill_runs/13",
    "/backfill_runs/6/batches/5",
    "/backfill_runs/6/batches/6",
    "/backfill_runs/3/stop",
    "/backfill_runs/5/delete",
    "/backfill_runs/3/pause",
    "/backfill_runs/4/resume",
    "/backfill_runs/6/retry_failed_batches",
    "/nowhere",
];

#[tokio::test]
async fn nothing_hostile_becomes_markup() {
    let fake = Arc::new(Fake::new());
    for path in PAGES {
        let page = get(&fake, path).await;
        let scripts: Vec<_> = page.html.split("<script").skip(1).collect();
        assert!(scripts.len() == 1 && scripts[0].starts_with(" type=\"module\" src=\"&#x2f;static"), "{path}");
        assert!(!page.html.contains("alert('1')"), "{path}: a quote is not escaped");
        assert!(
            !page.html.contains('\0') && !page.html.contains('\u{202e}'),
            "{path}: a control character is not shown"
        );
        assert!(!page.html.contains("<b>") && !page.html.contains("<i>"), "{path}");
        assert!(!page.html.contains("54439"), "{path}: text was taken for a template");
        assert!(!page.html.contains("s3cret"), "{path}: a masked option is shown");
    }
    let run = get(&fake, "/backfill_runs/3").await;
    assert!(
        run.text().contains("<script>alert('1')</script>\"'&amp;{{ 7777 * 7 }}\\u{202e}\u{2400}é"),
        "{}",
        run.text()
    );
}

#[tokio::test]
async fn every_page_carries_the_headers_and_nothing_inline() {
    let fake = Arc::new(Fake::new());
    for path in PAGES {
        let page = get(&fake, path).await;
        let header = |name: &str| page.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("content-type"), "text/html; charset=utf-8", "{path}");
        for inline in [" style=", "<style", "javascript:", " onclick", " onload"] {
            assert!(!page.html.contains(inline), "{path} has `{inline}`");
        }
    }
}

#[tokio::test]
async fn a_long_error_is_cut_in_the_list_and_whole_on_its_page() {
    let fake = Arc::new(Fake::new());
    let list = get(&fake, "/backfill_runs/6").await;
    assert!(list.html.len() < 100_000, "{}", list.html.len());
    assert!(list.text().contains("The whole error"));
    assert!(list.text().contains("1,000 planned"), "what failed processed nothing: {}", list.text());
    assert!(list.text().contains("row 1017: the local time 2013-11-03 01:00 is ambiguous"));
    let batch = get(&fake, "/backfill_runs/6/batches/6").await;
    assert!(batch.html.len() > 1_000_000);
}

/// What went wrong, why, and where it panicked are three things, wherever an error is shown.
#[tokio::test]
async fn an_error_is_laid_out_with_its_causes_and_its_place() {
    let fake = Arc::new(Fake::new());
    for path in ["/backfill_runs/6", "/backfill_runs/6/batches/4"] {
        let html = get(&fake, path).await.html.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "<pre>row 4017: the local time 2013-11-03 01:00 is ambiguous</pre>",
            "<p class=\"why\">Caused by</p> <ol class=\"causes\"> <li><pre>two offsets fit</pre></li> <li><pre>the clock was set back</pre></li> </ol>",
            "<p class=\"where\">Panicked at <code>src&#x2f;zones.rs:12:5</code></p>",
        ] {
            assert!(html.contains(part), "{path}: {part} is not in {html}");
        }
    }
}

#[tokio::test]
async fn a_page_reloads_itself_only_while_nothing_can_be_lost() {
    let fake = Arc::new(Fake::new());
    let reload = "<noscript><meta http-equiv=\"refresh\"";
    let reloads = async |path: &str| {
        let page = get(&fake, path).await;
        assert!(!page.headers.contains_key("refresh"), "{path}: with JavaScript it must not");
        page.html.contains(reload)
    };
    assert!(reloads("/backfill_runs").await);
    assert!(reloads("/backfill_runs/3").await, "a running run");
    assert!(!reloads("/backfill_runs/3?refresh=off").await, "its reader switched that off");
    assert!(!reloads("/backfill_runs?before=20").await, "an older page");
    assert!(!reloads("/backfill_runs/5").await, "nothing moves");
    assert!(!reloads("/backfill_runs/new?backfill=add_role_to_employee").await, "a form");
    assert!(!reloads("/backfill_runs/3/stop").await, "a question");
}

#[tokio::test]
async fn lists_are_paged_by_key_and_filtered() {
    let fake = Arc::new(Fake::new());
    let first = get(&fake, "/backfill_runs").await;
    assert!(decoded(&first.html).contains("href=\"/backfill_runs?before=16\""), "the first page ends with run 16");
    let second = get(&fake, "/backfill_runs?before=16").await;
    assert!(!second.html.contains("rel=\"next\""));
    assert!(second.text().contains("Newest"));
    let searched = get(&fake, "/backfill_runs?search=ROLE").await;
    assert!(searched.html.contains("id=\"run-39\"") && !searched.html.contains("id=\"run-40\""));
    assert!(get(&fake, "/backfill_runs?search=nobody").await.text().contains("No run matches"));
    let mine = get(&fake, "/backfill_runs?person=7%3C&status=paused").await;
    assert!(mine.html.contains("id=\"run-39\"") && !mine.html.contains("id=\"run-4\""), "run 4 is nobody's");
    assert!(decoded(&mine.html).contains("before=") || !mine.html.contains("rel=\"next\""));
    let failed = get(&fake, "/backfill_runs?status=failed&backfill=recount_orders").await;
    assert!(failed.html.contains("<option value=\"recount_orders\" selected>"));
    assert!(!failed.html.contains("class=\"status running\""));
    assert!(get(&fake, "/backfill_runs?status=completed&before=2").await.text().contains("No run matches"));
    assert_eq!(get(&fake, "/backfill_runs?status=gone").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&fake, "/backfill_runs?before=x").await.status, StatusCode::BAD_REQUEST);

    let batches = get(&fake, "/backfill_runs/3").await;
    assert!(decoded(&batches.html).contains("href=\"/backfill_runs/3?after=50#batches\""));
    let running = get(&fake, "/backfill_runs/3?batch_status=running").await;
    assert!(running.html.contains("id=\"batch-101\"") && !running.html.contains("id=\"batch-1\""));
}

/// The list of people ends at some number; a filter that is not in it would be lost with the next choice.
#[tokio::test]
async fn whoever_the_runs_are_filtered_by_can_be_seen_in_the_filter() {
    let fake = Arc::new(Fake::new());
    let known = get(&fake, "/backfill_runs?person=7%3C").await;
    assert_eq!(known.html.matches("<option value=\"7&lt;\" selected>Ada").count(), 1);
    assert_eq!(known.html.matches("<option value=\"7&lt;\"").count(), 1, "once");
    let unknown = get(&fake, "/backfill_runs?person=4711").await;
    assert!(unknown.html.contains("<option value=\"4711\" selected>4711</option>"), "{}", unknown.html);
    let me = get(&fake, "/backfill_runs?person=1").await;
    assert!(me.html.contains("<option value=\"1\" selected>Grace</option>"));
}

#[tokio::test]
async fn an_empty_registry_says_how_to_link_backfills() {
    let fake = Arc::new(Fake { empty: true, ..Fake::new() });
    let page = get(&fake, "/backfills").await;
    assert!(page.text().contains("use my_backfills as _;"), "{}", page.text());
    // A run whose code is gone shows none of its options: nobody knows which are masked.
    let run = get(&fake, "/backfill_runs/3").await;
    assert!(run.text().contains("no code for this backfill"));
    assert_eq!(run.text().matches("not shown").count(), 7, "six options and the sentence");
}

#[tokio::test]
async fn a_database_that_is_away_is_a_page() {
    let fake = Arc::new(Fake { down: true.into(), ..Fake::new() });
    for path in
        ["/backfills", "/backfill_runs", "/backfill_runs/3", "/backfill_runs/6/batches/1", "/backfill_runs/3/stop"]
    {
        let page = get(&fake, path).await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(page.text().contains("The database did not answer"), "{path}");
        assert!(!page.text().contains("pool"), "{path}: internals are shown");
    }
    // The form still works, with a free input where the choices are missing, and keeps what was typed.
    let form = get(&fake, "/backfill_runs/new?backfill=add_role_to_employee").await;
    assert_eq!(form.status, StatusCode::OK);
    assert!(form.text().contains("could not be read from the database"));
    let refused = post(&fake, "/backfill_runs", "backfill=add_role_to_employee&options[note]=kept").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.html.contains("value=\"kept\""));
}

#[tokio::test]
async fn errors_are_pages_with_their_status() {
    let fake = Arc::new(Fake::new());
    let cases = [
        ("/nowhere", 404, "no page at this address"),
        ("/backfill_runs/99", 404, "there is no run 99"),
        ("/backfill_runs/-1", 404, "there is no run -1"),
        ("/backfill_runs/abc", 404, "no page at this address"),
        ("/backfill_runs/99999999999999999999", 404, "no page at this address"),
        ("/backfill_runs/6/batches/999", 404, "run 6 has no batch 999"),
        ("/backfill_runs/6/batches/0", 404, "no page at this address"),
        ("/backfill_runs/new?backfill=nobody", 404, "no backfill named “nobody”"),
    ];
    for (path, status, text) in cases {
        let page = get(&fake, path).await;
        assert_eq!(page.status.as_u16(), status, "{path}");
        assert!(page.text().contains(text), "{path}: {}", page.text());
    }
    let slash = get(&fake, "/backfill_runs/?status=failed").await;
    assert_eq!(slash.status, StatusCode::SEE_OTHER);
    assert_eq!(slash.headers[header::LOCATION], "/backfill_runs?status=failed");
}

#[tokio::test]
async fn the_form_has_an_input_for_every_kind() {
    let fake = Arc::new(Fake::new());
    let page = get(&fake, "/backfill_runs/new?backfill=add_role_to_employee").await;
    let html = page.html.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        r#"<select id="option-department" name="options[department]" required"#,
        r#"<option value="">Choose…</option>"#,
        r#"<input type="text" id="option-note""#,
        r#"<input type="number" id="option-age" name="options[age]" value="" min="18" max="99" step="1""#,
        r#"<input type="number" id="option-ratio" name="options[ratio]" value="0.5" step="any""#,
        r#"<input type="number" id="option-price" name="options[price]" value="" step="any""#,
        r#"<input type="hidden" name="options[active_only]" value="false">"#,
        r#"<input type="checkbox" id="option-active_only" name="options[active_only]" value="true" checked"#,
        r#"<select id="option-remote" name="options[remote]">"#,
        r#"<input type="date" id="option-day""#,
        r#"<input type="time" id="option-hour" name="options[hour]" value="" step="1""#,
        r#"<input type="datetime-local" id="option-local_time""#,
        r#"<input type="datetime-local" id="option-moment" name="options[moment]" value="2026-01-31T12:00:00" step="1""#,
        r#"<option value="reject" selected>"#,
        r#"<input type="hidden" name="options[teams]" value="">"#,
        r#"<input type="checkbox" name="options[teams]" value="later" checked>"#,
        r#"<input type="password" id="option-token" name="options[token]" value="" required"#,
        r#"name="batch_size" min="1" step="1" value="1000""#,
        r#"name="sleep" min="0" step="any" value="0.25""#,
        r#"<input type="text" id="queue" name="queue" value="default" list="queues""#,
        r#"<datalist id="queues"><option value="#,
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}

/// The list of backfills asks for no more than the form does: a list of boxes may stay empty.
#[tokio::test]
async fn the_same_options_are_marked_as_required_in_the_list_as_in_the_form() {
    let mut fake = Fake::new();
    let teams = fake.infos[0].fields.iter_mut().find(|field| field.name == "teams").unwrap();
    (teams.required, teams.default) = (true, None);
    let fake = Arc::new(fake);
    let list = get(&fake, "/backfills").await.text();
    assert!(list.contains("teams, token* (* required)") && list.contains("department*"), "{list}");
    let form = get(&fake, "/backfill_runs/new?backfill=add_role_to_employee").await.text();
    assert!(form.contains("teams reject") && form.contains("token *") && form.contains("* required"), "{form}");
}

#[tokio::test]
async fn a_form_becomes_a_run() {
    let fake = Arc::new(Fake::new());
    let form = "backfill=add_role_to_employee&options[department]=Sales&options[note]=&options[active_only]=false\
                &options[active_only]=true&options[teams]=&options[teams]=reject&options[teams]=later\
                &options[token]=hunter2&batch_size=50&limit=&sleep=0.5&start=at&start_at=2026-02-01T18:30";
    let page = post(&fake, "/backfill_runs", form).await;
    assert_eq!(
        (page.status, &page.headers[header::LOCATION]),
        (StatusCode::SEE_OTHER, &"/backfill_runs/7".parse().unwrap())
    );
    let new = fake.created.lock().unwrap().remove(0);
    let form = |values: &[&str]| Raw::Form(values.iter().map(ToString::to_string).collect());
    assert_eq!(new.options["department"], form(&["Sales"]));
    assert_eq!(new.options["note"], form(&[""]));
    assert_eq!(new.options["active_only"], form(&["true"]));
    assert_eq!(new.options["teams"], form(&["reject", "later"]));
    assert_eq!((new.batch_size, new.limit), (Some(50), None));
    assert_eq!(new.sleep, Some(std::time::Duration::from_millis(500)));
    assert_eq!(new.start_at.unwrap().to_rfc3339(), "2026-02-01T18:30:00+00:00");

    assert_eq!(new.queue, None, "the backfill's own");

    let unticked = "backfill=add_role_to_employee&options[active_only]=false&options[teams]=&start=now&start_at=2026-02-01T18:30&queue=+slow+";
    post(&fake, "/backfill_runs", unticked).await;
    let new = fake.created.lock().unwrap().remove(0);
    assert_eq!(new.options["active_only"], form(&["false"]));
    assert_eq!(new.options["teams"], form(&[]));
    assert_eq!(new.queue.as_deref(), Some("slow"));
    assert_eq!(new.start_at, None, "the time is hidden when “now” is chosen");
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_and_says_what_is_wrong_where() {
    let fake = Arc::new(Fake { refuse: Some(refused_fields), ..Fake::new() });
    let form = "backfill=add_role_to_employee&options[department]=Gone&options[note]=%22%3E%3Cb%3Ekept&options[age]=old\
                &options[active_only]=false&options[teams]=&options[teams]=earlier&options[ambiguous]=later\
                &options[token]=hunter2&queue=nobody%27s&batch_size=77&limit=5&sleep=1.5&start=at&start_at=2026-02-01T18:30";
    let page = post(&fake, "/backfill_runs", form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let html = decoded(&page.html);
    for kept in [
        r#"<option value="Gone" selected>"#,
        r#"value=""><b>kept""#,
        r#"name="options[age]" value="old""#,
        r#"value="earlier" checked"#,
        r#"<option value="later" selected>"#,
        r#"value="77""#,
        r#"value="5""#,
        r#"value="1.5""#,
        r#"name="queue" value="nobody's""#,
        r#"value="at" id="start-at-choice" checked"#,
        r#"value="2026-02-01T18:30""#,
    ] {
        assert!(html.contains(kept), "{kept} is lost");
    }
    assert!(!page.html.contains("<b>kept"), "what was typed became markup");
    assert!(!page.html.contains(r#"name="options[active_only]" value="true" checked"#));
    assert!(!page.html.contains("hunter2"), "a masked value came back");
    assert!(page.text().contains("must be a whole number, not"));
    assert!(page.text().contains("nonsense: is unknown"), "an error without a field is at the top");
    assert!(page.html.contains("aria-invalid=\"true\""));
    assert!(html.contains("role=\"alert\" tabindex=\"-1\" autofocus>"), "who cannot see it is led there");
    assert!(html.contains("<li><a href=\"#option-age\">age</a> must be a whole number, not"), "{html}");
}

#[tokio::test]
async fn the_form_refuses_what_it_does_not_know() {
    let fake = Arc::new(Fake::new());
    let cases = [
        ("backfill=recount_orders&admin=1", "admin: is no field of this form"),
        ("backfill=recount_orders&batch_size=1&batch_size=2", "was sent twice"),
        ("backfill=recount_orders&batch_size=many", "must be a whole number"),
        ("backfill=recount_orders&limit=-1", "must be a whole number, or empty for all"),
        ("backfill=recount_orders&sleep=-1", "must be a number of seconds"),
        ("backfill=recount_orders&sleep=nan", "must be a number of seconds"),
        ("backfill=recount_orders&start=at", "is missing"),
        ("backfill=recount_orders&start=at&start_at=tomorrow", "must be a date and time"),
        ("backfill=recount_orders&start=later", "must be “now” or “at”"),
    ];
    for (form, text) in cases {
        let page = post(&fake, "/backfill_runs", form).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(page.text().contains(text), "{form}: {}", page.text());
    }
    assert_eq!(post(&fake, "/backfill_runs", "").await.status, StatusCode::NOT_FOUND);
    let large = post(&fake, "/backfill_runs", &format!("backfill={}", "x".repeat(300_000))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(large.text().contains("256 KiB"));
    assert!(fake.created.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_identical_active_run_is_a_conflict_on_the_form() {
    let duplicate = || Error::new(ErrorKind::Conflict, "run 12 is the same and still active");
    let fake = Arc::new(Fake { refuse: Some(duplicate), ..Fake::new() });
    let page = post(&fake, "/backfill_runs", "backfill=recount_orders").await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text().contains("run 12 is the same and still active"));
}

#[tokio::test]
async fn buttons_do_what_they_say_as_who_clicked() {
    let fake = Arc::new(Fake::new());
    let cases = [
        ("stop", "", Verb::Stop),
        ("stop", "now=1", Verb::StopNow),
        ("pause", "", Verb::Pause),
        ("resume", "", Verb::Resume),
        ("retry_failed_batches", "", Verb::RetryFailedBatches),
        ("delete", "", Verb::Delete),
    ];
    for (action, form, _) in cases {
        let page = post(&fake, &format!("/backfill_runs/3/{action}"), form).await;
        let target = if action == "delete" { "/backfill_runs" } else { "/backfill_runs/3" };
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{action}");
        assert_eq!(page.headers[header::LOCATION], target);
    }
    let acted = fake.acted.lock().unwrap().clone();
    assert_eq!(acted, cases.map(|(_, _, verb)| (verb, RunId(3), Backfiller::new(1, "Grace"))));

    for (action, form) in [("pause", "now=1"), ("stop", "now=0"), ("stop", "now=1&now=1"), ("delete", "sure=yes")] {
        let page = post(&fake, &format!("/backfill_runs/3/{action}"), form).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{action} {form}");
    }
    let refused = post(&fake, "/backfill_runs/5/stop", "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("run 5 is completed: there is nothing to stop"));
    assert!(decoded(&refused.html).contains("href=\"/backfill_runs/5\""), "the way back");
    assert_eq!(fake.acted.lock().unwrap().len(), cases.len());
}

#[tokio::test]
async fn hostile_names_survive_links() {
    let fake = Arc::new(Fake::new());
    let page = get(&fake, "/backfills").await;
    let html = decoded(&page.html);
    let link = html.rsplit("?backfill=").next().unwrap().split('"').next().unwrap();
    let listed = get(&fake, &format!("/backfill_runs?backfill={link}")).await;
    assert!(listed.html.contains("/backfill_runs/9") || decoded(&listed.html).contains("/backfill_runs/9"), "{link}");
}

#[tokio::test]
async fn a_link_fills_the_form_in_and_says_what_it_could_not() {
    let fake = Arc::new(Fake::new());
    let link = "/backfill_runs/new?backfill=add_role_to_employee&options[note]=from+a+link&options[active_only]=false\
                &options[teams]=earlier&options[token]=hunter2&options[salary]=1&batch_size=42&limit=9&start_at=2026-02-01T18:30";
    let page = get(&fake, link).await;
    assert_eq!(page.status, StatusCode::OK);
    let html = page.html.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        r#"value="from a link""#,
        r#"value="earlier" checked"#,
        r#"name="batch_size" min="1" step="1" value="42""#,
        r#"name="limit" min="1" step="1" value="9""#,
        r#"value="at" id="start-at-choice" checked"#,
        r#"value="2026-02-01T18:30""#,
        r#"value="0.25""#,
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    assert!(!html.contains(r#"name="options[active_only]" value="true" checked"#));
    assert!(!html.contains("hunter2"), "a masked value came from an address");
    assert!(page.text().contains("salary: is not an option of this backfill"));
    assert!(!page.text().contains("Not started."), "nothing was sent yet");
}

#[tokio::test]
async fn run_again_asks_for_the_same_but_what_is_masked() {
    let fake = Arc::new(Fake::new());
    let page = get(&fake, "/backfill_runs/new?again=3").await;
    let html = page.html.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.text().contains("Filled in as in run 3. Nothing is started yet."));
    assert!(html.contains(r#"name="limit" min="1" step="1" value="2000000""#));
    assert!(html.contains(r#"value="later" checked"#) && html.contains(r#"value="earlier" checked"#));
    assert!(!html.contains("s3cret"));
    assert!(page.text().contains("holds characters that a form cannot"), "a NUL in the department");
    assert!(page.text().contains("removed_option: is no option of this backfill any more"));
    assert_eq!(get(&fake, "/backfill_runs/new?again=99").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_time_is_taken_in_the_zone_that_was_sent_with_it() {
    let fake = Arc::new(Fake::new());
    let form = "backfill=add_role_to_employee&start=at&start_at=2026-07-01T18:30&zone=%2B02:00\
                &options[moment]=2026-01-01T00:30&zones[moment]=-03:30";
    assert_eq!(post(&fake, "/backfill_runs", form).await.status, StatusCode::SEE_OTHER);
    let new = fake.created.lock().unwrap().remove(0);
    assert_eq!(new.start_at.unwrap().to_rfc3339(), "2026-07-01T16:30:00+00:00");
    assert_eq!(new.options["moment"], Raw::Form(vec!["2026-01-01T04:00:00+00:00".to_owned()]));

    let odd =
        post(&fake, "/backfill_runs", "backfill=recount_orders&start=at&start_at=2026-07-01T18:30&zone=Mars").await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(odd.text().contains("in a known zone"));
    let kept = "backfill=recount_orders&batch_size=x&start=at&start_at=2026-07-01T18:30&zone=%2B02:00";
    let kept = post(&fake, "/backfill_runs", kept).await;
    assert!(decoded(&kept.html).contains("<option value=\"+02:00\" selected>"), "the zone is lost");
}

#[tokio::test]
async fn the_picker_puts_first_what_the_person_started_last() {
    let fake = Arc::new(Fake::new());
    let text = get(&fake, "/backfill_runs/new").await.text();
    let places = ["Yours, the latest first", "recount_orders", "All others", "add_role_to_employee"];
    let found: Vec<_> = places.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"))).collect();
    assert!(found.is_sorted(), "{text}");
}

/// What a search leaves out is hidden, so that the module can find it when something else is typed.
#[tokio::test]
async fn what_a_search_leaves_out_is_hidden_and_not_gone() {
    let fake = Arc::new(Fake::new());
    let shown = |html: &str, tag: &str, name: &str| {
        let html = decoded(html);
        let (before, _) = html.split_once(&format!("data-text=\"{name}")).expect("it is on the page");
        let rest = &html[before.len()..];
        assert!(before.ends_with(&format!("{tag} ")), "{before}");
        let (attributes, _) = rest.split_once('>').expect("its tag ends");
        !attributes.ends_with(" hidden")
    };
    let picker = get(&fake, "/backfill_runs/new?search=ROLE").await;
    assert!(shown(&picker.html, "<li", "add_role_to_employee") && !shown(&picker.html, "<li", "recount_orders"));
    assert!(picker.html.contains("id=\"picks-none\" hidden"));
    let none = get(&fake, "/backfill_runs/new?search=nobody").await;
    assert!(!shown(&none.html, "<li", "add_role_to_employee") && none.html.contains("id=\"picks-none\">"));
    // Any line of the description, here the third.
    for (search, role, orders) in
        [("safe+to+REPEAT", true, false), ("counts+the", false, true), ("nobody", false, false)]
    {
        let page = get(&fake, &format!("/backfills?search={search}")).await;
        let tag = "<article class=\"card backfill\"";
        assert_eq!(shown(&page.html, tag, "add_role_to_employee"), role, "{search}");
        assert_eq!(shown(&page.html, tag, "recount_orders"), orders, "{search}");
        assert_eq!(page.html.contains("id=\"cards-none\" hidden"), role || orders, "{search}");
    }
}

#[tokio::test]
async fn backfills_say_where_they_work_and_what_became_of_them() {
    let fake = Arc::new(Fake::new());
    let page = get(&fake, "/backfills").await;
    let text = page.text();
    for part in
        ["my_backfills::employees", "batch by batch", "row by row", "employees SQLite", "orders SQLite", "1,234"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(text.contains("no code in this process"), "a backfill with runs alone");
}

#[tokio::test]
async fn a_run_shows_its_speed_its_failures_and_what_is_in_flight() {
    let fake = Arc::new(Fake::new());
    let running = get(&fake, "/backfill_runs/3").await;
    assert_eq!(running.html.matches("<svg viewBox=").count(), 2, "two charts");
    assert_eq!(running.html.matches("<li id=\"flight-").count(), 4);
    assert!(running.html.contains("<dt>Remaining</dt><dd>–</dd>"), "its latest slices are idle: no end is in sight");
    let list = get(&fake, "/backfill_runs").await.text();
    assert!(list.contains("about 6 min left"), "no finer than it is known: {list}");
    let failed = get(&fake, "/backfill_runs/6").await;
    assert!(failed.text().contains("5× row 1017: the local time 2013-11-03 01:00 is ambiguous first in batch 1"));
    let newest = get(&fake, "/backfill_runs/3?order=newest").await;
    let html = decoded(&newest.html);
    assert!(html.find("id=\"batch-120\"").unwrap() < html.find("id=\"batch-119\"").unwrap());
    assert!(html.contains("href=\"/backfill_runs/3?before=71#batches\""), "the page behind");
}

#[tokio::test]
async fn a_preview_says_what_would_happen_and_writes_nothing() {
    let fake = Arc::new(Fake::new());
    let page = post(&fake, "/backfill_runs/preview", "backfill=recount_orders&batch_size=77").await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    for part in [
        "at least 400,000, about 1,200,000",
        "rows of hr.orders",
        "about 12,000",
        "reads the whole table",
        "uses an index",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(page.html.contains("value=\"77\""), "the form is kept");
    assert!(!page.html.contains("<script>alert"), "a sampled cell became markup");
    let missing = post(&fake, "/backfill_runs/preview", "backfill=recount_orders&batch_size=many").await;
    assert!(
        missing
            .text()
            .contains("Not known as long as something is missing or wrong: Batch size must be a whole number")
    );
    assert!(fake.created.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_preview_says_what_its_last_key_is_of_and_why_it_shows_no_rows() {
    let fake = Arc::new(Fake::new());
    let whole = post(&fake, "/backfill_runs/preview", "backfill=recount_orders").await.html;
    assert!(whole.contains("<dt>Last key</dt>") && !whole.contains("No rows are shown"), "{whole}");
    let fake = Arc::new(Fake { no_samples: true, ..Fake::new() });
    let trial = post(&fake, "/backfill_runs/preview", "backfill=recount_orders&limit=5").await.html;
    assert!(trial.contains("<dt>Last key of all rows</dt>"), "a limited run does not get that far: {trial}");
    assert!(trial.contains("No rows are shown: they were not found in time"), "{trial}");
}

#[tokio::test]
async fn a_strip_counts_runs_by_status() {
    let fake = Arc::new(Fake::new());
    let page = get(&fake, "/backfill_runs").await;
    let text = page.text();
    let strip = "3 running 1 enqueued 2 scheduled 4 paused 12 failed, last 7 days all failed runs \
                 1,290 completed, last 7 days all completed runs";
    assert!(text.contains(strip), "{text}");
    // The list behind a link has as many runs as the link says.
    let html = decoded(&page.html);
    let failed: Vec<_> = html.split("href=\"/backfill_runs?status=failed\">").skip(1).collect();
    assert!(failed.len() == 1 && failed[0].starts_with("all<"), "{failed:?}");
}

#[tokio::test]
async fn a_question_says_how_many_batches_are_in_flight_in_words() {
    let fake = Arc::new(Fake::new());
    assert!(
        get(&fake, "/backfill_runs/3/stop").await.text().contains("Batches in flight (4) are rolled back at once.")
    );
    for question in ["/backfill_runs/1/stop", "/backfill_runs/1/pause"] {
        let text = get(&fake, question).await.text();
        assert!(text.contains("in flight (just now none)") && !text.contains("(0)"), "{text}");
    }
}

#[tokio::test]
async fn workers_are_alive_or_silent_and_say_what_they_hold() {
    let fake = Arc::new(Fake::new());
    let text = get(&fake, "/workers").await.text();
    for part in ["Silent", "process 4242", "1 of 4", "run 3, batch 103 for 9.0 s"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[tokio::test]
async fn what_code_said_is_shown_with_its_batch_and_what_was_dropped_is_counted() {
    let fake = Arc::new(Fake::new());
    let run = get(&fake, "/backfill_runs/3?level=warn").await;
    assert!(run.text().contains("5 lines kept, 7 dropped"), "{}", run.text());
    assert_eq!(run.html.matches("<li id=\"log-").count(), 5);
    assert!(run.html.contains("?level=warn") || run.html.contains("level=warn"), "the filter is in the links");
    let batch = get(&fake, "/backfill_runs/3/batches/1").await;
    assert_eq!(batch.html.matches("<li id=\"log-").count(), 5);
    assert_eq!(get(&fake, "/backfill_runs/3?level=loud").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_log_without_lines_says_whether_some_may_come() {
    let fake = Arc::new(Fake { silent: true, ..Fake::new() });
    let running = get(&fake, "/backfill_runs/3").await.text();
    assert!(running.contains("Nothing yet; lines are there when their batch has ended."), "{running}");
    let completed = get(&fake, "/backfill_runs/5").await.text();
    assert!(completed.contains("Nothing was said.") && !completed.contains("Nothing yet;"), "{completed}");
}
