//! Attacks on the dashboard and its API, over a real database: each is tried and fails.

#![cfg(all(feature = "dashboard", feature = "sqlite", feature = "logs"))]
#![allow(clippy::unused_self, reason = "a scope takes `&self`, needed or not")]

mod support;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use data_drip::dashboard::Access;
use data_drip::sqlite::prelude::*;
use data_drip::{Backfiller, RunId, RunStatus};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use support::Database;
use tower::ServiceExt;
use tracing_subscriber::prelude::*;

const HOSTILE: &str = "<script>alert('1')</script>\"'&amp;{{ 7777 * 7 }}\u{202e}é";
const SECRET: &str = "s3cret-of-the-house";

/// Fails with what it is given, after it has said it.
#[backfill(batch_size = 2)]
struct Leak {
    note: String,
    #[option(masked)]
    token: Option<String>,
    /// Characters of its error.
    #[option(default = 10)]
    error: usize,
}

#[backfill]
impl Leak {
    fn scope(&self) -> Scope {
        Scope::table("it\"ems <i>").filter(col("ow<n>er").ne(self.token.clone().unwrap_or_default()))
    }

    async fn process_element(&self, row: (String, String), conn: &mut Connection) -> data_drip::Result {
        let _ = (row, conn);
        tracing::warn!(note = self.note, token = self.token, "{} {:?}", self.note, self.token);
        Err(format!("{} {:?} {}", self.note, self.token, "x".repeat(self.error)).into())
    }
}

/// Who they say they are.
async fn who(headers: HeaderMap) -> Access {
    let somebody = Backfiller::new(format!("id {HOSTILE}"), format!("Eve {HOSTILE}"));
    match headers.get("x-access").map(HeaderValue::as_bytes) {
        Some(b"act") => Access::Act(somebody),
        Some(b"look") => Access::Look(somebody),
        _ => Access::Denied,
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn is_json(&self) -> bool {
        let kind = self.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        matches!(kind, b"application/json" | b"application/problem+json")
    }
}

struct House {
    drip: DataDrip,
    database: Database,
    run: RunId,
}

impl House {
    /// With a run that has failed, and all streams closed.
    async fn new(error: usize) -> Self {
        let listening = tracing_subscriber::registry().with(data_drip::logs::layer()).set_default();
        let database = Database::empty().await;
        database
            .run(&format!(
                "CREATE TABLE \"it\"\"ems <i>\" (\"k<e>y\" TEXT NOT NULL PRIMARY KEY, \"ow<n>er\" TEXT NOT NULL);
                 INSERT INTO \"it\"\"ems <i>\" VALUES ('a{0}', '{0}'), ('b{0}', 'x{1}'), ('c', 'y'), ('d', '{1}')",
                HOSTILE.replace('\'', "''"),
                SECRET,
            ))
            .await;
        let drip = database.drip().await;
        let worker = drip.start();
        let leak = Leak { note: HOSTILE.into(), token: Some(SECRET.into()), error };
        let run = drip.enqueue(leak).by(&Backfiller::new("1", HOSTILE)).await.unwrap();
        assert_eq!(drip.wait(run.id).await.unwrap().status, RunStatus::Failed);
        worker.shutdown().await;
        drop(listening);
        Self { drip, database, run: run.id }
    }

    fn app(&self) -> Router {
        Router::new().merge(self.drip.dashboard_at("/data_drip", who))
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.app().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/data_drip{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[ACT], Body::empty()).await
    }

    /// Every route of pages and API with a method of it, read off what the dashboard itself says it has.
    fn routes(&self) -> Vec<(String, String)> {
        let source = include_str!("../data_drip/src/dashboard/routes/mod.rs");
        let mut routes = Vec::new();
        for rest in source.split(".route(").skip(1) {
            let path = rest.split('"').nth(1).unwrap();
            let handlers = rest.split(".route(").next().unwrap().lines().take(4).collect::<String>();
            for method in ["get", "post"] {
                if handlers.contains(&format!("{method}(")) {
                    routes.push((method.to_uppercase(), path.to_owned()));
                }
            }
        }
        let description: Value = serde_json::from_str(include_str!("../ui/openapi.json")).unwrap();
        for (path, operations) in description["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                routes.push((method.to_uppercase(), format!("/api/v1{path}")));
            }
        }
        assert!(routes.len() > 30, "{routes:?}");
        let run = self.run.to_string();
        for (_, path) in &mut routes {
            *path = path.replace("{id}", &run).replace("{position}", "1").replace("{name}", "leak");
        }
        routes
    }

    fn changing(&self) -> Vec<(String, String)> {
        self.routes().into_iter().filter(|(method, _)| method != "GET").collect()
    }

    /// What an attack would have changed.
    async fn state(&self) -> (i64, i64, RunStatus) {
        let runs = self.database.int("SELECT count(*) FROM data_drip_backfill_runs").await;
        let events = self.database.int("SELECT count(*) FROM data_drip_run_events").await;
        (runs, events, self.drip.run(self.run).await.unwrap().status)
    }
}

const ACT: (&str, &str) = ("x-access", "act");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn what_another_site_sends_changes_nothing() {
    let house = House::new(10).await;
    let before = house.state().await;
    let forged: &[&[(&str, &str)]] = &[
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "same-origin, cross-site")],
        &[("sec-fetch-site", "SAME-ORIGIN")],
        &[("sec-fetch-site", "cross-site"), ("origin", "http://ours.example"), ("host", "ours.example")],
        &[("origin", "http://evil.example"), ("host", "ours.example")],
        &[("origin", "null"), ("host", "ours.example")],
        &[("origin", "http://ours.example.evil.example"), ("host", "ours.example")],
        &[("origin", "http://ours.example@evil.example"), ("host", "ours.example")],
        &[("origin", "http://evil.example"), ("host", "ours.example"), ("x-forwarded-host", "evil.example")],
        &[("origin", "http://evil.example"), ("host", "ours.example"), ("referer", "http://ours.example/data_drip")],
    ];
    for (method, path) in house.changing() {
        for headers in forged {
            for kind in [FORM, JSON, ("content-type", "text/plain")] {
                let headers = [*headers, &[ACT, kind]].concat();
                let answer = house.ask(&method, &path, &headers, Body::empty()).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {headers:?}");
                assert!(answer.text.contains("another site"), "{method} {path}");
            }
        }
    }
    assert_eq!(house.state().await, before);
}

#[tokio::test]
async fn who_may_only_look_can_do_nothing_and_who_may_not_sees_nothing() {
    let house = House::new(10).await;
    let before = house.state().await;
    let run = json!({ "backfill": "leak", "options": { "note": "x" } }).to_string();
    for (method, path) in house.changing() {
        let kind = if path.starts_with("/api") { JSON } else { FORM };
        let body = if path.starts_with("/api") { run.clone() } else { "backfill=leak&options[note]=x".to_owned() };
        for access in ["look", "denied", ""] {
            let headers = [("x-access", access), kind, ("sec-fetch-site", "same-origin")];
            let answer = house.ask(&method, &path, &headers, body.clone()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{access} {method} {path}");
        }
    }
    for (method, path) in house.routes().iter().filter(|(method, _)| method == "GET") {
        let answer = house.ask(method, path, &[], Body::empty()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.text.contains("leak") && !answer.text.contains("Eve"), "{path}: {}", answer.text);
    }
    // Other ways to say the method.
    for (name, value) in [("x-http-method-override", "DELETE"), ("x-method-override", "DELETE")] {
        house.ask("GET", &format!("/api/v1/backfill_runs/{}", house.run), &[ACT, (name, value)], Body::empty()).await;
        house.ask("GET", &format!("/backfill_runs/{}/delete?_method=delete", house.run), &[ACT], Body::empty()).await;
    }
    assert_eq!(house.state().await, before);
}

#[tokio::test]
async fn every_answer_forbids_framing_sniffing_storing_and_foreign_content() {
    let house = House::new(10).await;
    let big = "x".repeat(300 * 1024);
    let mut answers = Vec::new();
    for (method, path) in house.routes() {
        for access in [ACT, ("x-access", "look"), ("x-access", "")] {
            answers.push((format!("{method} {path}"), house.ask(&method, &path, &[access], Body::empty()).await));
        }
    }
    for (method, path, headers, body) in [
        ("GET", "/nowhere", vec![ACT], ""),
        ("GET", "/api/nowhere", vec![ACT], ""),
        ("PURGE", "/backfills", vec![ACT], ""),
        ("PATCH", "/api/v1/backfills", vec![ACT], ""),
        ("POST", "/backfill_runs", vec![ACT, FORM], big.as_str()),
        ("POST", "/api/v1/backfill_runs", vec![ACT, JSON], big.as_str()),
        ("POST", "/api/v1/backfill_runs", vec![ACT, ("sec-fetch-site", "cross-site")], ""),
        ("GET", "/backfill_runs/", vec![ACT], ""),
        ("GET", "", vec![ACT], ""),
    ] {
        answers.push((format!("{method} {path}"), house.ask(method, path, &headers, body.to_owned()).await));
    }
    for (what, answer) in answers {
        let value = |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let policy = value("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(part), "{what}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{what}: {policy}");
        assert_eq!(value("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(value("x-frame-options"), "DENY", "{what}");
        assert!(value("cache-control").contains("no-store"), "{what}: {}", value("cache-control"));
    }
}

#[tokio::test]
async fn nothing_that_was_typed_said_or_stored_becomes_markup() {
    let house = House::new(10).await;
    for (method, path) in house.routes() {
        if method != "GET" {
            continue;
        }
        let answer = house.get(&path).await;
        assert!(!answer.status.is_server_error(), "{path}: {}", answer.status);
        if answer.is_json() {
            // Nothing renders it: `nosniff` forbids to guess.
            continue;
        }
        for markup in ["<script>alert", "<i>", "54439", "ow<n>er"] {
            assert!(!answer.text.contains(markup), "{path} contains {markup}");
        }
    }
    // What an address says comes back escaped, if at all.
    let hostile = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%27%7B%7B7777*7%7D%7D";
    for path in [
        format!("/backfill_runs?backfill={hostile}"),
        format!("/backfill_runs?search={hostile}&person={hostile}"),
        format!("/backfill_runs/new?backfill={hostile}"),
        format!("/backfill_runs/new?backfill=leak&options%5Bnote%5D={hostile}&limit={hostile}"),
        format!("/backfill_runs/{hostile}"),
        format!("/backfills/{hostile}"),
        format!("/api/v1/backfills/{hostile}"),
        format!("/api/v1/backfill_runs?{hostile}=1"),
    ] {
        let answer = house.get(&path).await;
        assert!(!answer.status.is_server_error(), "{path}: {}", answer.status);
        assert!(answer.is_json() || !answer.text.contains("<script>alert"), "{path}");
        assert!(!answer.text.contains("54439"), "{path}: a template was evaluated");
    }
    let form = format!("backfill=leak&options[note]={hostile}&batch_size={hostile}&{hostile}={hostile}");
    let answer = house.ask("POST", "/backfill_runs", &[ACT, FORM], form).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!answer.text.contains("<script>alert") && !answer.text.contains("54439"));
}

#[tokio::test]
async fn a_megabyte_of_error_is_whole_on_its_page_and_cut_everywhere_else() {
    let house = House::new(1_000_000).await;
    let run = house.run;
    let whole = house.get(&format!("/backfill_runs/{run}/batches/1")).await;
    assert!(whole.text.contains(&"x".repeat(1_000_000)));
    for path in
        ["/backfill_runs".to_owned(), format!("/backfill_runs/{run}"), format!("/api/v1/backfill_runs/{run}/failures")]
    {
        let answer = house.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.text.len() < 200_000, "{path}: {}", answer.text.len());
    }
    let lines = house.get(&format!("/api/v1/backfill_runs/{run}/logs")).await;
    assert!(lines.text.len() < 100_000);
}

#[tokio::test]
async fn a_masked_option_leaves_on_no_page_answer_preview_log_or_event() {
    let house = House::new(10).await;
    let mut answers = Vec::new();
    for (method, path) in house.routes() {
        if method == "GET" {
            answers.push((path.clone(), "s3cret", house.get(&path).await));
        }
    }
    let again = format!("/backfill_runs/new?again={}", house.run);
    answers.push((again.clone(), "s3cret", house.get(&again).await));
    // Refused, asked for and previewed, as form and as JSON.
    let secrets = [SECRET.to_owned(), "h1dden\" \\ \u{0}".to_owned()];
    for (secret, told) in secrets.iter().zip(["s3cret", "h1dden"]) {
        let encoded: Vec<String> = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let encoded = encoded.concat();
        for (path, form) in [
            ("/backfill_runs", format!("backfill=leak&options[token]={encoded}&options[error]=x&batch_size=x")),
            ("/backfill_runs", format!("backfill=leak&options[note]=a&options[token]={encoded}&options[token]=b")),
            ("/backfill_runs/preview", format!("backfill=leak&options[note]=a&options[token]={encoded}")),
        ] {
            answers.push((path.to_owned(), told, house.ask("POST", path, &[ACT, FORM], form).await));
        }
        for (path, body) in [
            ("/api/v1/backfill_runs", json!({ "backfill": "leak", "options": { "token": [secret], "note": 1 } })),
            (
                "/api/v1/backfill_runs",
                json!({ "backfill": "leak", "options": { "token": { "a": secret }, "note": "n" } }),
            ),
            (
                "/api/v1/backfill_runs/preview",
                json!({ "backfill": "leak", "options": { "token": secret, "note": "n" } }),
            ),
        ] {
            answers.push((path.to_owned(), told, house.ask("POST", path, &[ACT, JSON], body.to_string()).await));
        }
    }
    let body = json!({ "backfill": "leak", "options": { "token": SECRET, "note": "other" } });
    let created = house.ask("POST", "/api/v1/backfill_runs", &[ACT, JSON], body.to_string()).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    answers.push(("created".to_owned(), "s3cret", created));
    for (path, secret, answer) in &answers {
        assert!(!answer.status.is_server_error(), "{path}: {} {}", answer.status, answer.text);
        assert!(!answer.text.contains(secret), "{path} tells it: {}", answer.text);
    }
    let previews =
        answers.iter().filter(|(path, _, answer)| path.ends_with("preview") && answer.status == StatusCode::OK);
    assert!(previews.count() >= 2, "no preview was made");
    // It is where it belongs: in the run, for its code.
    let query = format!("SELECT count(*) FROM data_drip_backfill_runs WHERE options LIKE '%{SECRET}%'");
    assert_eq!(house.database.int(&query).await, 2);
    for table in ["run_logs", "run_events", "backfill_run_batches"] {
        let rows = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(match table {
            "run_logs" => "SELECT count(*) FROM data_drip_run_logs WHERE message || fields LIKE '%s3cret%'",
            "run_events" => "SELECT count(*) FROM data_drip_run_events WHERE detail LIKE '%s3cret%'",
            _ => "SELECT count(*) FROM data_drip_backfill_run_batches WHERE error LIKE '%s3cret%'",
        }));
        assert_eq!(rows.fetch_one(&house.database.pool).await.unwrap(), 0, "{table}");
    }
    assert!(house.database.int("SELECT count(*) FROM data_drip_run_logs").await > 0);
}

#[tokio::test]
async fn bodies_that_are_too_large_or_of_another_kind_are_refused() {
    let house = House::new(10).await;
    let before = house.state().await;
    let large = "x".repeat(1_000_000);
    let form = format!("backfill=leak&options[note]={large}");
    let body = json!({ "backfill": "leak", "options": { "note": large } }).to_string();
    let nested = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    for (path, kind, body, status) in [
        ("/backfill_runs", FORM, form.clone(), 413),
        ("/backfill_runs/preview", FORM, form, 413),
        ("/api/v1/backfill_runs", JSON, body.clone(), 413),
        ("/api/v1/backfill_runs/preview", JSON, body, 413),
        ("/api/v1/backfill_runs", JSON, nested, 400),
        ("/api/v1/backfill_runs", JSON, "{\"backfill\": ".to_owned(), 400),
        ("/api/v1/backfill_runs", FORM, "backfill=leak".to_owned(), 415),
        ("/api/v1/backfill_runs", ("content-type", "text/plain"), "{\"backfill\": \"leak\"}".to_owned(), 415),
    ] {
        let answer = house.ask("POST", path, &[ACT, kind], body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{path} {kind:?}: {}",
            answer.text.chars().take(300).collect::<String>()
        );
    }
    let answer = house.ask("POST", "/backfill_runs", &[ACT, JSON], "{\"backfill\": \"leak\"}".to_owned()).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    assert_eq!(house.state().await, before);
}

#[tokio::test]
async fn fields_that_nobody_knows_are_refused_and_nothing_is_done() {
    let house = House::new(10).await;
    let before = house.state().await;
    let run = house.run;
    for (path, form) in [
        ("/backfill_runs".to_owned(), "backfill=leak&options[note]=a&admin=1"),
        ("/backfill_runs".to_owned(), "backfill=leak&options[note]=a&options[admin]=1"),
        ("/backfill_runs".to_owned(), "backfill=leak&backfill=leak&options[note]=a"),
        (format!("/backfill_runs/{run}/retry_failed_batches"), "now=1"),
        (format!("/backfill_runs/{run}/stop"), "now=1&now=1"),
        (format!("/backfill_runs/{run}/delete"), "force=1"),
    ] {
        let answer = house.ask("POST", &path, &[ACT, FORM], form.to_owned()).await;
        assert!(answer.status.is_client_error(), "{path} {form}: {}", answer.status);
    }
    for (method, path, body) in [
        (
            "POST",
            "/api/v1/backfill_runs".to_owned(),
            json!({ "backfill": "leak", "options": { "note": "a" }, "by": "root" }),
        ),
        (
            "POST",
            "/api/v1/backfill_runs".to_owned(),
            json!({ "backfill": "leak", "options": { "note": "a", "__proto__": 1 } }),
        ),
        ("POST", format!("/api/v1/backfill_runs/{run}/retry_failed_batches"), json!({ "all": true })),
        ("DELETE", format!("/api/v1/backfill_runs/{run}"), json!({ "force": true })),
        ("DELETE", format!("/api/v1/backfill_runs/{run}?force=1"), json!({})),
    ] {
        let answer = house.ask(method, &path, &[ACT, JSON], body.to_string()).await;
        assert!(answer.status.is_client_error(), "{path} {body}: {}", answer.status);
    }
    assert_eq!(house.state().await, before);
}

#[tokio::test]
async fn odd_paths_reach_nothing_and_redirects_stay_in_the_house() {
    let house = House::new(10).await;
    let run = house.run;
    let before = house.state().await;
    for path in [
        "/static/x/../../Cargo.toml".to_owned(),
        "/static/x/..%2f..%2fCargo.toml".to_owned(),
        "/../../../etc/passwd".to_owned(),
        "/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/backfills/..%2f..%2fetc%2fpasswd".to_owned(),
        format!("/backfill_runs/{run}%2fdelete"),
        format!("/backfill_runs/{run};delete"),
        format!("/backfill_runs/{run}%00"),
        "/backfill_runs/99999999999999999999".to_owned(),
        "/backfill_runs/-1".to_owned(),
        format!("/backfill_runs/{run}/batches/18446744073709551616"),
        format!("/backfill_runs/{run}/batches/9223372036854775808"),
        "/api/v1/../backfill_runs".to_owned(),
        "/api/v2/backfill_runs".to_owned(),
        "/API/V1/backfill_runs".to_owned(),
        format!("/backfills/{}", "x".repeat(60_000)),
        "/%ff%fe".to_owned(),
    ] {
        let answer = house.get(&path).await;
        let shown: String = path.chars().take(80).collect();
        assert!(answer.status.is_client_error() || answer.status.is_redirection(), "{shown}: {}", answer.status);
        assert!(!answer.text.contains("root:x") && !answer.text.contains("[package]"), "{shown}");
        assert!(answer.text.len() < 100_000, "{shown}");
    }
    for path in [
        "/backfill_runs/",
        "//backfill_runs/",
        "//evil.example/backfills/",
        "/backfill_runs%0d%0aSet-Cookie:%20a=b/",
        "/backfills/%0d%0aLocation:%20http:%2f%2fevil.example/",
        "/backfill_runs/?next=//evil.example&x=%0d%0aSet-Cookie:%20a=b",
        "/backfills/%5cevil.example/",
        "/workers/",
    ] {
        let headers =
            [ACT, ("host", "ours.example"), ("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")];
        let answer = house.ask("GET", path, &headers, Body::empty()).await;
        assert!(answer.headers.get(header::SET_COOKIE).is_none(), "{path}");
        assert!(!answer.text.contains("//evil.example\""), "{path}");
        if let Some(location) = answer.headers.get(header::LOCATION) {
            let location = location.to_str().unwrap();
            assert!(location.starts_with("/data_drip/"), "{path} leads to {location}");
            assert!(!location.contains(['\r', '\n', '\\']), "{path} leads to {location:?}");
        }
    }
    assert_eq!(house.state().await, before);
}

#[tokio::test]
async fn a_name_in_a_form_does_not_decide_who_did_it() {
    let house = House::new(10).await;
    let path = format!("/api/v1/backfill_runs/{}/retry_failed_batches", house.run);
    let headers = [ACT, JSON, ("x-user", "root"), ("x-forwarded-user", "root"), ("x-backfiller", "root")];
    let answer = house.ask(Method::POST.as_str(), &path, &headers, "{}".to_owned()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let event = house.drip.events(house.run).await.unwrap().pop().unwrap();
    assert_eq!(event.backfiller.unwrap().name, format!("Eve {HOSTILE}"));
}
