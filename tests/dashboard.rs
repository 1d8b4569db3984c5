//! The dashboard over a real database and a real worker, request by request. What pages look like in odd states, and
//! the attacks, are unit tests of the dashboard itself.

#![cfg(all(feature = "dashboard", feature = "sqlite"))]
#![allow(clippy::unused_self, reason = "a scope takes `&self`, needed or not")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use data_drip::dashboard::Access;
use data_drip::sqlite::prelude::*;
use data_drip::{Backfiller, RunId, RunStatus, Worker};
use http_body_util::BodyExt;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

/// Gives every employee without a role the default one.
#[backfill(batch_size = 10)]
struct AddRole {
    /// Only employees of this department.
    department: String,
    #[option(min = 18)]
    age: Option<i64>,
    #[option(default = true)]
    active_only: bool,
    #[option(masked)]
    token: Option<String>,
}

#[backfill]
impl AddRole {
    fn scope(&self) -> Scope {
        Scope::table("employees")
            .filter(col("role").is_null())
            .filter(col("department").eq(&self.department))
            .filter_if(self.active_only, col("active").eq(true))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("role", "intern").execute().await?;
        Ok(())
    }
}

/// Fails on its third batch until the table `mended` has a row.
#[backfill(batch_size = 10)]
struct Poisoned {}

#[backfill]
impl Poisoned {
    fn scope(&self) -> Scope {
        Scope::table("employees")
    }

    async fn process_element(&self, row: (i64,), conn: &mut Connection) -> data_drip::Result {
        let mended: i64 = sqlx::query_scalar("SELECT count(*) FROM mended").fetch_one(&mut *conn).await?;
        if row.0 == 25 && mended == 0 {
            return Err("row 25 is <em>poison</em>".into());
        }
        sqlx::query("UPDATE employees SET role = 'x' WHERE id = ?").bind(row.0).execute(conn).await?;
        Ok(())
    }
}

/// Names its table wrong, or a column of it.
#[backfill]
struct Misspelt {
    #[option(default = false)]
    column: bool,
    note: Option<String>,
}

#[backfill]
impl Misspelt {
    fn scope(&self) -> Scope {
        if self.column { Scope::table("employees").columns(["id", "roll"]) } else { Scope::table("employes") }
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("role", "x").execute().await?;
        Ok(())
    }
}

struct Host {
    drip: DataDrip,
    pool: SqlitePool,
    _folder: TempDir,
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

struct Page {
    status: StatusCode,
    headers: HeaderMap,
    html: String,
}

/// Signed in as whoever the header says.
async fn who(headers: HeaderMap) -> Result<Access, StatusCode> {
    let name = headers.get("x-user").and_then(|name| name.to_str().ok()).ok_or(StatusCode::UNAUTHORIZED)?;
    Ok(Access::Act(Backfiller::new(format!("id-{name}"), name)))
}

impl Host {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("host.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        let schema = "CREATE TABLE employees (id INTEGER PRIMARY KEY, department TEXT, active BOOLEAN, role TEXT);
             CREATE TABLE mended (id INTEGER PRIMARY KEY);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
             INSERT INTO employees SELECT i, 'Sales', true, NULL FROM n";
        sqlx::raw_sql(schema).execute(&pool).await.unwrap();
        let drip = DataDrip::builder(pool.clone()).build().await.unwrap();
        Self { drip, pool, _folder: folder }
    }

    fn app(&self) -> Router {
        Router::new().nest("/data_drip", self.drip.dashboard(who))
    }

    async fn send(&self, request: Request<Body>) -> Page {
        let (parts, body) = self.app().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Page { status: parts.status, headers: parts.headers, html: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Page {
        let request = Request::get(format!("/data_drip{path}")).header("x-user", "ada");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: &str) -> Page {
        let request = Request::post(format!("/data_drip{path}"))
            .header("x-user", "ada")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Starts a run by form and gives its id back.
    async fn run(&self, form: &str) -> RunId {
        let page = self.post("/backfill_runs", form).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.html);
        let location = page.headers[header::LOCATION].to_str().unwrap();
        location.strip_prefix("/data_drip/backfill_runs/").unwrap().parse().unwrap()
    }

    async fn click(&self, run: RunId, action: &str) -> Page {
        self.post(&format!("/backfill_runs/{run}/{action}"), "").await
    }

    async fn status(&self, run: RunId) -> RunStatus {
        self.drip.run(run).await.unwrap().status
    }

    fn work(&self) -> Worker<sqlx::Sqlite> {
        self.drip.start()
    }
}

const SALES: &str = "backfill=add_role&options[department]=Sales&options[age]=&options[active_only]=false\
                     &options[active_only]=true&options[token]=hunter2&batch_size=20&limit=&sleep=0&start=now&start_at=";

#[tokio::test]
async fn a_form_starts_a_run_that_completes_and_says_who() {
    let host = Host::new().await;
    let worker = host.work();
    let id = host.run(SALES).await;
    let run = host.drip.wait(id).await.unwrap();
    assert_eq!((run.status, run.counts.processed, run.batch_size), (RunStatus::Completed, 50, 20));
    assert_eq!(run.backfiller, Some(Backfiller::new("id-ada", "ada")));
    assert_eq!(run.options["active_only"], true, "the ticked box wins over the hidden field before it");

    let page = host.get(&format!("/backfill_runs/{id}")).await;
    assert_eq!(page.status, StatusCode::OK);
    for part in ["add_role", "completed", "50</span> of 50", "ada", "Sales", "enqueued"] {
        assert!(page.html.contains(part), "{part} is not in {}", page.html);
    }
    assert!(!page.html.contains("hunter2"), "a masked option is shown");
    let newest = host.get(&format!("/backfill_runs/{id}?order=newest")).await.html;
    let place = |position| newest.find(&format!("id=\"batch-{position}\"")).unwrap();
    assert!(place(3) < place(2) && place(2) < place(1), "the latest first");
    let list = host.get("/backfill_runs?status=completed&backfill=add_role").await;
    assert!(list.html.contains("add_role") && list.html.contains("ada"));
    worker.shutdown().await;
}

#[tokio::test]
async fn what_the_form_got_wrong_comes_back_beside_it() {
    let host = Host::new().await;
    let form =
        SALES.replace("options[age]=", "options[age]=old").replace("options[department]=Sales", "options[department]=");
    let page = host.post("/backfill_runs", &form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.html.contains("value=\"old\""), "what was typed is lost");
    assert!(page.html.matches("field-error").count() >= 2, "{}", page.html);
    assert!(!page.html.contains("hunter2"));
    let both = host.post("/backfill_runs", &form.replace("batch_size=20", "batch_size=many")).await;
    assert!(both.html.matches("field-error").count() >= 3, "options and settings are refused together: {}", both.html);
    let unknown = host.post("/backfill_runs", &format!("{SALES}&options[salary]=1")).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unknown.html.contains("salary"));
    let nothing = host.post("/backfill_runs", &SALES.replace("Sales", "Nobody")).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nothing.html.contains("no records to process"));
    let zero = host.post("/backfill_runs", &SALES.replace("batch_size=20", "batch_size=0")).await;
    assert_eq!(zero.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(host.drip.runs().await.unwrap().is_empty());
}

/// A scope that names what is not there is refused with the message, on the form, its preview and in JSON alike.
#[tokio::test]
async fn a_scope_that_names_what_is_not_there_is_refused_and_says_so() {
    let host = Host::new().await;
    for (column, text) in [("false", "there is no table `employes`"), ("true", "has no column `roll`")] {
        let form = format!("backfill=misspelt&options[column]={column}&options[note]=kept&batch_size=7");
        let refused = host.post("/backfill_runs", &form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.html);
        for part in [text, "did you mean", "value=\"kept\"", "value=\"7\""] {
            assert!(refused.html.contains(part), "{part} is not in {}", refused.html);
        }
        let preview = host.post("/backfill_runs/preview", &form).await;
        assert_eq!(preview.status, StatusCode::OK);
        let panel = preview.html.split_once("id=\"preview\"").unwrap().1;
        assert!(panel.contains(text), "{panel}");
        for path in ["/api/v1/backfill_runs", "/api/v1/backfill_runs/preview"] {
            let body = format!("{{\"backfill\": \"misspelt\", \"options\": {{\"column\": {column}}}}}");
            let request = Request::post(format!("/data_drip{path}")).header("x-user", "ada");
            let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap();
            let answer = host.send(request).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", answer.html);
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
            assert!(answer.html.contains(text), "{}", answer.html);
        }
    }
    assert!(host.drip.runs().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_same_run_twice_is_a_conflict_that_names_the_first() {
    let host = Host::new().await;
    let id = host.run(SALES).await;
    let page = host.post("/backfill_runs", SALES).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.html.contains(&format!("run {id}")));
    assert!(page.html.contains("Sales"), "the form is kept");
}

#[tokio::test]
async fn a_start_time_is_kept_in_utc() {
    let host = Host::new().await;
    let id = host.run(&SALES.replace("start=now&start_at=", "start=at&start_at=2099-02-01T18:30")).await;
    let run = host.drip.run(id).await.unwrap();
    assert_eq!(run.status, RunStatus::Pending);
    assert_eq!(run.start_at.unwrap().to_rfc3339(), "2099-02-01T18:30:00+00:00");
    assert!(host.get(&format!("/backfill_runs/{id}")).await.html.contains("2099-02-01 18:30:00 UTC"));
}

#[tokio::test]
async fn buttons_move_a_run_and_misplaced_ones_are_refused() {
    let host = Host::new().await;
    let id = host.run(SALES).await;
    for (action, status) in [
        ("pause", RunStatus::Paused),
        ("resume", RunStatus::Enqueued),
        ("stop", RunStatus::Stopped),
        ("resume", RunStatus::Enqueued),
    ] {
        assert_eq!(host.click(id, action).await.status, StatusCode::SEE_OTHER, "{action}");
        assert_eq!(host.status(id).await, status, "{action}");
    }
    for action in ["resume", "retry_failed_batches", "delete"] {
        let page = host.click(id, action).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{action}");
        assert!(page.html.contains("enqueued"), "{action}: {}", page.html);
    }
    let now = host.post(&format!("/backfill_runs/{id}/stop"), "now=1").await;
    assert_eq!(now.status, StatusCode::SEE_OTHER);
    let events: Vec<_> = host.drip.events(id).await.unwrap();
    assert!(events.iter().all(|event| event.backfiller.as_ref().is_some_and(|who| who.name == "ada")), "{events:?}");
    assert_eq!(host.click(id, "delete").await.headers[header::LOCATION], "/data_drip/backfill_runs");
    assert_eq!(host.get(&format!("/backfill_runs/{id}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(host.click(id, "stop").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_failed_batch_shows_its_error_and_is_retried() {
    let host = Host::new().await;
    let worker = host.work();
    let id = host.run("backfill=poisoned").await;
    let run = host.drip.wait(id).await.unwrap();
    assert_eq!((run.status, run.counts.failed, run.counts.processed), (RunStatus::Failed, 1, 40));
    let page = host.get(&format!("/backfill_runs/{id}?batch_status=failed")).await;
    assert!(page.html.contains("row 25 is &lt;em&gt;poison&lt;"), "{}", page.html);
    assert_eq!(page.html.matches("<details").count(), 1);
    let batch = host.get(&format!("/backfill_runs/{id}/batches/3")).await;
    assert!(batch.html.contains("&lt;em&gt;poison"));

    sqlx::query("INSERT INTO mended VALUES (1)").execute(&host.pool).await.unwrap();
    assert_eq!(host.click(id, "retry_failed_batches").await.status, StatusCode::SEE_OTHER);
    let run = host.drip.wait(id).await.unwrap();
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 50));
    worker.shutdown().await;
}

#[tokio::test]
async fn the_pages_say_when_the_database_is_away() {
    let host = Host::new().await;
    let id = host.run(SALES).await;
    host.pool.close().await;
    for path in ["/backfill_runs".to_owned(), "/backfills".to_owned(), format!("/backfill_runs/{id}")] {
        let page = host.get(&path).await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(page.html.contains("The database did not answer"), "{path}");
    }
    let page = host.post("/backfill_runs", SALES).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.html.contains("Sales"), "the form is kept");
}

#[tokio::test]
async fn the_hosts_refusal_is_sent_as_it_is() {
    let host = Host::new().await;
    let page = host.send(Request::get("/data_drip/backfills").body(Body::empty()).unwrap()).await;
    assert_eq!((page.status, page.html.as_str()), (StatusCode::UNAUTHORIZED, ""));
}

/// A browser keeps its connection open; axum's graceful shutdown, which waits for the worker, must end all the same.
#[tokio::test]
async fn a_host_with_an_open_page_shuts_down() {
    let host = Host::new().await;
    let worker = host.work();
    shuts_down_with_an_open_page(&host, |signal| worker.shutdown_on(signal)).await;
}

#[tokio::test]
async fn a_host_without_a_worker_and_with_an_open_page_shuts_down() {
    let host = Host::new().await;
    shuts_down_with_an_open_page(&host, |signal| host.drip.end_streams_on(signal)).await;
}

async fn shuts_down_with_an_open_page<F>(host: &Host, ends_on: impl FnOnce(BoxFuture) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shut_down, signal) = tokio::sync::oneshot::channel::<()>();
    let stop = ends_on(Box::pin(async {
        let _ = signal.await;
    }));
    let app = host.app();
    let server = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stop).await });

    // One that has its page, and one that follows it.
    let mut open = Vec::new();
    for (path, until) in [("/backfill_runs", "</html>"), ("/backfill_runs/live", "event: parts")] {
        let mut browser = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET /data_drip{path} HTTP/1.1\r\nHost: localhost\r\nX-User: ada\r\n\r\n");
        browser.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.contains(until) {
            let mut bytes = [0; 4096];
            let read = browser.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "{path} ended");
            answer.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        assert!(answer.starts_with("HTTP/1.1 200"));
        open.push(browser);
    }

    shut_down.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), server).await;
    ended.expect("the open connection held the shutdown").unwrap().unwrap();
}
