//! Every page and every read of the API with something of everything there, on a real server.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use data_drip::dashboard::Access;
use data_drip::{Backfiller, RunId, RunStatus, Worker};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::prelude::*;

use crate::database::prelude::*;
use crate::database::{Database, Db};
use crate::suite::gate::Gate;
use crate::suite::{settled, until};

#[derive(Debug, thiserror::Error)]
#[error("item {0} has <no> zone")]
struct NoZone(String, #[source] std::num::ParseIntError);

/// Says something about each batch.
///
/// Fails where it is told to.
#[backfill(batch_size = 25)]
pub struct Talk {
    /// Tells runs apart that are otherwise the same.
    pub tag: i64,
    pub bad: Option<i64>,
    #[option(default = false)]
    pub panic: bool,
    #[option(masked)]
    pub token: Option<String>,
}

#[backfill]
impl Talk {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        gate.pass().await;
        let keys = batch.keys().await?;
        tracing::info!(rows = keys.len(), "a batch of \u{1f600}");
        let bad = self.bad.map(|bad| bad.to_string());
        if let Some(bad) = keys.iter().map(ToString::to_string).find(|key| Some(key) == bad.as_ref())
            && !gate.is_mended()
        {
            tracing::warn!(bad, token = self.token, "it is <bad>");
            assert!(!self.panic, "item {bad} is too much");
            return Err(NoZone(bad, "x".parse::<i64>().unwrap_err()).into());
        }
        batch.update_all().set_expr("touched", "touched + 1").execute().await?;
        Ok(())
    }
}

fn talk(tag: i64) -> Talk {
    Talk { tag, bad: None, panic: false, token: None }
}

fn ada() -> Backfiller {
    Backfiller::new("a'1", "Ada <Lovelace>")
}

struct Answer {
    status: StatusCode,
    location: String,
    body: String,
}

impl Answer {
    /// What a reader sees: tags gone, entities decoded, blanks folded.
    fn text(&self) -> String {
        let mut text = String::new();
        for part in self.body.split('<') {
            text.push(' ');
            text.push_str(part.split_once('>').map_or(part, |(_, after)| after));
        }
        let entities =
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
        let text = entities.iter().fold(text, |text, (entity, character)| text.replace(entity, character));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    fn has(&self, parts: &[&str]) {
        let text = self.text();
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
    }
}

/// An application with the dashboard, and a worker with one slot.
struct Host {
    database: Database,
    drip: DataDrip,
    gate: Gate,
    worker: Worker<Db>,
    visited: BTreeSet<String>,
    _logs: DefaultGuard,
}

impl Host {
    async fn start() -> Option<Self> {
        let database = Database::with_items(100).await?;
        let logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(data_drip::logs::layer()));
        let gate = Gate::default();
        let drip = database.builder().slots(1).queues(["default"]).state(gate.clone()).build().await.unwrap();
        let worker = drip.start();
        Some(Self { database, drip, gate, worker, visited: BTreeSet::new(), _logs: logs })
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let app: Router = Router::new().nest("/ops", self.drip.dashboard(async || Access::Act(ada())));
        let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let location = parts.headers.get(header::LOCATION).map_or("", |location| location.to_str().unwrap()).to_owned();
        Answer { status: parts.status, location, body }
    }

    async fn page(&self, path: &str) -> Answer {
        let answer = self.send(Request::get(format!("/ops{path}")).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer
    }

    async fn form(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(format!("/ops{path}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()));
        self.send(request.unwrap()).await
    }

    /// A read of the API: the route as its description names it, and what to put in and behind it.
    async fn api(&mut self, route: &str, parameters: &[(&str, String)], query: &str) -> Value {
        let path =
            parameters.iter().fold(route.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
        self.visited.insert(route.to_owned());
        self.page(&format!("/api/v1{path}{query}")).await.json()
    }

    async fn ends(&self, talk: Talk, status: RunStatus) -> RunId {
        let run = self.drip.enqueue(talk).by(&ada()).await.unwrap();
        let run = settled(&self.drip, run.id).await;
        assert_eq!(run.status, status, "{run:?}");
        run.id
    }

    /// One run in every status, the last one held in its second batch.
    async fn one_of_each(&self) -> Runs {
        let drip = &self.drip;
        let completed = self.ends(talk(1), RunStatus::Completed).await;
        let failing = Talk { bad: Some(99), token: Some("hunter2-hunter2".into()), ..talk(2) };
        let failed = self.ends(failing, RunStatus::Failed).await;
        let panicked = self.ends(Talk { bad: Some(3), panic: true, ..talk(3) }, RunStatus::Failed).await;
        self.gate.close();
        let stopped = drip.enqueue(talk(4)).by(&ada()).await.unwrap().id;
        self.gate.reached().await;
        drip.stop(stopped).by(&ada()).await.unwrap();
        self.gate.open();
        assert_eq!(settled(drip, stopped).await.status, RunStatus::Stopped);
        let far = chrono::Utc::now() + chrono::TimeDelta::days(400);
        let pending = drip.enqueue(talk(5)).start_at(far).by(&ada()).await.unwrap().id;
        let enqueued = drip.enqueue(talk(6)).queue("nobody's").by(&Backfiller::new(2, "Grace")).await.unwrap().id;
        let paused = drip.enqueue(talk(7)).queue("nobody's").await.unwrap().id;
        drip.pause(paused).by(&ada()).await.unwrap();
        self.gate.close();
        let running = drip.enqueue(talk(8)).limit(60).by(&ada()).await.unwrap().id;
        self.gate.reached().await;
        for (run, lines) in [(completed, 4), (failed, 5), (panicked, 5)] {
            until(async || (drip.log_totals(run).await.unwrap().kept == lines).then_some(())).await;
        }
        // As if it had taken a minute: a shorter run has no chart of its throughput.
        for longer in [
            format!("UPDATE data_drip_backfill_runs SET started_at = started_at - 60000 WHERE id = {completed}"),
            format!(
                "UPDATE data_drip_backfill_run_batches SET started_at = started_at - 60000, finished_at = finished_at - 60000
                 WHERE run_id = {completed} AND position <= 2"
            ),
        ] {
            self.database.run(&longer).await;
        }
        let now = chrono::Utc::now().timestamp_millis();
        let gone = format!(
            "INSERT INTO data_drip_workers VALUES ('gone', 'old-host', 7, '0.0.9', 2, '[\"slow\"]', 5, {}, {}, {})",
            now - 900_000,
            now - 600_000,
            now - 570_000
        );
        self.database.run(&gone).await;
        Runs { completed, failed, panicked, stopped, pending, enqueued, paused, running }
    }

    async fn stop(self) {
        self.gate.open();
        self.worker.shutdown().await;
    }
}

struct Runs {
    completed: RunId,
    failed: RunId,
    panicked: RunId,
    stopped: RunId,
    pending: RunId,
    enqueued: RunId,
    paused: RunId,
    running: RunId,
}

#[tokio::test]
async fn every_page_shows_what_is_there() {
    let Some(host) = Host::start().await else { return };
    let runs = host.one_of_each().await;
    lists(&host, &runs).await;
    settled_runs(&host, &runs).await;
    open_runs(&host, &runs).await;
    others(&host, &runs).await;
    host.stop().await;
}

async fn lists(host: &Host, runs: &Runs) {
    let all = host.page("/backfill_runs").await;
    all.has(&[
        "1 running",
        "1 enqueued",
        "1 scheduled",
        "1 paused",
        "2 failed, last 7 days",
        "1 completed, last 7 days",
    ]);
    all.has(&["Ada <Lovelace>", "Grace", "100 of 100", "trial, 60 rows at most", "1 failed batch"]);
    for (query, there, not_there) in [
        ("status=failed", runs.failed, runs.completed),
        ("status=stopped", runs.stopped, runs.failed),
        ("status=pending", runs.pending, runs.enqueued),
        ("person=a%271", runs.failed, runs.enqueued),
        ("person=2", runs.enqueued, runs.failed),
        ("search=TAL&status=paused", runs.paused, runs.failed),
        ("backfill=talk&status=enqueued", runs.enqueued, runs.paused),
    ] {
        let page = host.page(&format!("/backfill_runs?{query}")).await;
        assert!(page.body.contains(&format!("id=\"run-{there}\"")), "{query}: {}", page.text());
        assert!(!page.body.contains(&format!("id=\"run-{not_there}\"")), "{query}: {}", page.text());
    }
    let older = host.page(&format!("/backfill_runs?before={}", runs.panicked)).await;
    assert!(
        older.body.contains(&format!("id=\"run-{}\"", runs.failed))
            && !older.body.contains(&format!("id=\"run-{}\"", runs.panicked))
    );
    host.page("/backfill_runs?search=nonesuch").await.has(&["No run matches."]);
}

async fn settled_runs(host: &Host, runs: &Runs) {
    let completed = host.page(&format!("/backfill_runs/{}", runs.completed)).await;
    completed.has(&["100.0 %", "100 of 100 rows exact", "4 of 4", "enqueued by Ada <Lovelace>", "4 lines kept"]);
    completed.has(&["Throughput", "Batch durations", "a batch of \u{1f600} rows= 25", "batch 4"]);
    let newest = host.page(&format!("/backfill_runs/{}?order=newest", runs.completed)).await.body;
    let place = |position| newest.find(&format!("id=\"batch-{position}\"")).unwrap();
    assert!(place(4) < place(1));
    let second = host.page(&format!("/backfill_runs/{}?after=2&batch_status=completed", runs.completed)).await.body;
    assert!(second.contains("id=\"batch-3\"") && !second.contains("id=\"batch-2\""));

    let failed = host.page(&format!("/backfill_runs/{}?batch_status=failed&level=warn", runs.failed)).await;
    failed.has(&["Failed batches: 1 of 4.", "1× item 99 has <no> zone batch 2", "75 of 100", "it is <bad> bad= 99"]);
    failed.has(&["item 99 has <no> zone Caused by invalid digit found in string"]);
    assert!(!failed.text().contains("a batch of") && !failed.text().contains("hunter2"), "{}", failed.text());
    let one = host.page(&format!("/backfill_runs/{}?log_batch=2", runs.failed)).await;
    one.has(&["Only batch 2 . All batches", "it is <bad> bad= 99"]);
    assert_eq!(one.body.matches("<li id=\"log-").count(), 2, "of five: {}", one.text());
    assert!(one.body.contains("log_batch=2\""), "the stream tells of the same lines");
    let none = host.page(&format!("/backfill_runs/{}?log_batch=99", runs.failed)).await;
    none.has(&["That batch has said nothing."]);
    let batch = host.page(&format!("/backfill_runs/{}/batches/2", runs.failed)).await;
    batch.has(&["Rows planned 25", "Failed attempts 1", "Error item 99 has <no> zone", "a batch of", "it is <bad>"]);
    let panicked = host.page(&format!("/backfill_runs/{}/batches/1", runs.panicked)).await;
    panicked.has(&["item 3 is too much", "Panicked at", "pages.rs:"]);
    let stopped = host.page(&format!("/backfill_runs/{}", runs.stopped)).await;
    stopped.has(&["Stopped before it was done.", "stopped by Ada <Lovelace>", "25 of 100"]);
}

async fn open_runs(host: &Host, runs: &Runs) {
    host.page(&format!("/backfill_runs/{}", runs.pending)).await.has(&["pending", "Starts", "Not before"]);
    host.page(&format!("/backfill_runs/{}", runs.enqueued)).await.has(&["Waits for a worker", "nobody's"]);
    host.page(&format!("/backfill_runs/{}", runs.paused)).await.has(&["Keeps its place", "paused by Ada <Lovelace>"]);
    let running = host.page(&format!("/backfill_runs/{}?batch_status=running", runs.running)).await;
    running.has(&["running", "0 of 60 rows", "In flight 1", "60 rows", "batch 1"]);
    for (id, action) in
        [(runs.running, "stop"), (runs.running, "pause"), (runs.paused, "resume"), (runs.completed, "delete")]
    {
        host.page(&format!("/backfill_runs/{id}/{action}")).await.has(&[&format!("run {id}?")]);
    }
    host.page(&format!("/backfill_runs/{}/retry_failed_batches", runs.failed)).await.has(&["1 of 4"]);
}

async fn others(host: &Host, runs: &Runs) {
    let backfills = host.page("/backfills").await;
    backfills.has(&["talk", "Says something about each batch.", "items", "8 runs", "tag", "whole number"]);
    let workers = host.page("/workers").await;
    workers.has(&["alive", "Slots busy 1 of 1", &format!("run {}, batch 1", runs.running)]);
    workers.has(&["Silent", "old-host process 7", "slow", "0.0.9"]);
    let picker = host.page("/backfill_runs/new").await.text();
    let place = |part: &str| picker.find(part).unwrap_or_else(|| panic!("{part} is not in {picker}"));
    assert!(place("Yours, the latest first") < place("talk") && place("talk") < place("stamp_all"));
    host.page("/backfill_runs/new?backfill=talk&options[tag]=9&limit=5").await.has(&["New run of talk", "Queue"]);
    let again = host.page(&format!("/backfill_runs/new?again={}", runs.failed)).await;
    again.has(&["Filled in as in", "enter it anew"]);
    assert!(again.body.contains("value=\"99\"") && !again.body.contains("hunter2"));
    let preview = host.form("/backfill_runs/preview", "backfill=talk&options[tag]=9&limit=60&batch_size=7").await;
    preview.has(&[
        "60",
        "of 100",
        "items",
        "about 9, of 7 rows at most",
        "Walks by id First key 3 Last key of all rows 300",
        "uses an index",
    ]);
}

#[tokio::test]
async fn every_read_of_the_api_tells_what_is_there() {
    let Some(mut host) = Host::start().await else { return };
    let runs = host.one_of_each().await;
    let id = |id: RunId| [("id", id.to_string())];
    let counts = host.api("/backfill_runs/counts", &[], "").await;
    assert_eq!(
        counts,
        json!({ "pending": 1, "enqueued": 1, "running": 1, "paused": 1, "completed": 1, "failed": 2, "stopped": 1 })
    );
    let list = host.api("/backfill_runs", &[], "?status=failed&search=talk&backfiller=a%271&limit=1").await;
    assert_eq!((&list["items"][0]["id"], &list["next"]), (&json!(runs.panicked), &json!(runs.panicked)));
    let list = host.api("/backfill_runs", &[], &format!("?status=failed&limit=5&before={}", runs.panicked)).await;
    assert_eq!((&list["items"][0]["id"], &list["next"]), (&json!(runs.failed), &json!(null)));

    let failed = host.api("/backfill_runs/{id}", &id(runs.failed), "").await;
    assert_eq!(
        (&failed["status"], &failed["masked_options"], &failed["options"]["bad"]),
        (&json!("failed"), &json!(["token"]), &json!(99))
    );
    assert_eq!((&failed["counts"]["failed"], &failed["progress"]["processed"]), (&json!(1), &json!(75)));
    let batches = host.api("/backfill_runs/{id}/batches", &id(runs.failed), "?status=failed").await;
    let error =
        json!({ "message": "item 99 has <no> zone", "causes": ["invalid digit found in string"], "place": null });
    assert_eq!((batches["items"].as_array().unwrap().len(), &batches["items"][0]["error"]), (1, &error));
    let batches = host.api("/backfill_runs/{id}/batches", &id(runs.completed), "?after=1&limit=2").await;
    assert_eq!((&batches["items"][1]["position"], &batches["next"]), (&json!(3), &json!(3)));
    assert!(batches["items"][0]["took_ms"].is_u64());
    let batch = [("id", runs.panicked.to_string()), ("position", "1".to_owned())];
    let batch = host.api("/backfill_runs/{id}/batches/{position}", &batch, "").await;
    assert!(batch["error"]["place"].as_str().unwrap().contains("pages.rs:"), "{batch}");
    assert_eq!((&batch["after_key"], &batch["upto_key"]), (&json!(null), &json!(["75"])));
    let failures = host.api("/backfill_runs/{id}/failures", &id(runs.failed), "").await;
    let group = json!({ "message": "item 99 has <no> zone", "batches": 1, "first_position": 2 });
    assert_eq!(failures, json!({ "groups": [group], "complete": true }));
    let events = host.api("/backfill_runs/{id}/events", &id(runs.stopped), "").await;
    let told: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
    assert_eq!(told, ["enqueued", "stopped"]);
    assert_eq!(events["items"][1]["backfiller"], json!({ "id": "a'1", "name": "Ada <Lovelace>" }));

    let logs = host.api("/backfill_runs/{id}/logs", &id(runs.failed), "?batch=2&level=warn").await;
    let line = &logs["items"][0];
    assert_eq!(
        (&line["message"], &line["fields"]["bad"], &line["position"]),
        (&json!("it is <bad>"), &json!("99"), &json!(2))
    );
    assert!(!logs.to_string().contains("hunter2"), "{logs}");
    assert_eq!(logs["totals"], json!({ "kept": 5, "dropped": 0 }));
    let after = format!("?after={}", line["id"]);
    let later = host.api("/backfill_runs/{id}/logs", &id(runs.failed), &after).await;
    assert_eq!(later["items"].as_array().unwrap().len(), 2, "those of the batches behind it: {later}");

    let throughput = host.api("/backfill_runs/{id}/throughput", &id(runs.completed), "").await;
    let rows =
        throughput["slices"].as_array().unwrap().iter().map(|slice| slice["processed"].as_u64().unwrap()).sum::<u64>();
    assert_eq!((rows, &throughput["remaining"]), (100, &json!(null)));
    let durations = host.api("/backfill_runs/{id}/durations", &id(runs.completed), "").await;
    assert_eq!((durations["items"].as_array().unwrap().len(), &durations["items"][0]["position"]), (4, &json!(4)));

    let workers = host.api("/workers", &[], "").await;
    let (alive, dead) = (&workers["items"][0], &workers["items"][1]);
    assert_eq!(
        (&alive["alive"], &alive["claims"][0]["run_id"], &alive["claims"][0]["position"]),
        (&json!(true), &json!(runs.running), &json!(1))
    );
    assert_eq!((&dead["alive"], &dead["host"], &dead["queues"]), (&json!(false), &json!("old-host"), &json!(["slow"])));
    let backfills = host.api("/backfills", &[], "").await;
    let known = backfills["items"].as_array().unwrap().iter().find(|backfill| backfill["name"] == "talk").unwrap();
    assert_eq!((&known["runs"], &known["last_run"]["id"]), (&json!(8), &json!(runs.running)));
    let table = known["table"].as_str().unwrap().rsplit_once('.').unwrap().1;
    assert_eq!(table, "items", "that of its last planned run: {known}");
    let talk = [("name", "talk".to_owned())];
    assert_eq!(&host.api("/backfills/{name}", &talk, "").await, known);
    let choices = [("name", "faulty".to_owned()), ("option", "fault".to_owned())];
    assert_eq!(host.api("/backfills/{name}/choices/{option}", &choices, "").await["items"][0]["value"], "error");
    let people = host.api("/backfillers", &[], "").await;
    assert_eq!((&people["items"][0]["id"], &people["items"][1]["name"]), (&json!("a'1"), &json!("Grace")));

    let description = host.api("/openapi.json", &[], "").await;
    let reads = description["paths"].as_object().unwrap().iter().filter(|(_, methods)| methods.get("get").is_some());
    let missed: Vec<_> = reads.map(|(path, _)| path).filter(|path| !host.visited.contains(*path)).collect();
    assert!(missed.is_empty(), "not read: {missed:?}");
    host.stop().await;
}

/// Each button and what comes of it, by form.
#[tokio::test]
async fn a_run_is_started_steered_retried_and_deleted_from_pages() {
    let Some(host) = Host::start().await else { return };
    let form = "backfill=talk&options[tag]=1&options[bad]=99&options[panic]=false&options[token]=&batch_size=20&limit=&sleep=0&queue=nobody&start=now&start_at=";
    let refused = host.form("/backfill_runs", &form.replace("[tag]=1", "[tag]=x")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("value=\"nobody\"") && refused.body.contains("value=\"x\""), "{}", refused.body);
    let created = host.form("/backfill_runs", form).await;
    assert_eq!(created.status, StatusCode::SEE_OTHER, "{}", created.text());
    let id: RunId = created.location.rsplit('/').next().unwrap().parse().unwrap();
    let run = host.drip.run(id).await.unwrap();
    assert_eq!((run.status, run.queue.as_str(), run.batch_size), (RunStatus::Enqueued, "nobody", 20));
    let twice = host.form("/backfill_runs", form).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    twice.has(&[&format!("run {id}")]);
    for (action, status) in
        [("pause", RunStatus::Paused), ("resume", RunStatus::Enqueued), ("stop", RunStatus::Stopped)]
    {
        let answer = host.form(&format!("/backfill_runs/{id}/{action}"), "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{action}: {}", answer.text());
        assert_eq!(host.drip.run(id).await.unwrap().status, status, "{action}");
    }
    assert_eq!(host.form(&format!("/backfill_runs/{id}/pause"), "").await.status, StatusCode::CONFLICT);
    assert_eq!(host.form(&format!("/backfill_runs/{id}/delete"), "").await.location, "/ops/backfill_runs");

    let created = host.form("/backfill_runs", &form.replace("queue=nobody", "queue=")).await;
    let id: RunId = created.location.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(settled(&host.drip, id).await.status, RunStatus::Failed);
    host.gate.mend();
    assert_eq!(host.form(&format!("/backfill_runs/{id}/retry_failed_batches"), "").await.status, StatusCode::SEE_OTHER);
    let run = settled(&host.drip, id).await;
    assert_eq!((run.status, run.counts.processed), (RunStatus::Completed, 100));
    host.page(&format!("/backfill_runs/{id}")).await.has(&["retried failed batches by Ada <Lovelace>", "100 of 100"]);
    host.stop().await;
}
