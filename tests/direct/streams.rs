//! Two hundred people who watch, over real connections: what the database is asked does not depend on how many they are.

use std::sync::{Arc, Mutex};

use axum::Router;
use data_drip::dashboard::Access;
use data_drip::{Backfiller, RunId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::database::Database;
use crate::database::prelude::DataDrip;
use crate::suite::backfills::StampAll;
use crate::suite::gate::Gate;
use crate::suite::{engine, until};

const WATCHERS: usize = 200;
const PAGES: usize = 20;

/// The statements of this thread's connections that sqlx tells of.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    fn collect() -> (Self, DefaultGuard) {
        let statements = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(statements.clone()));
        (statements, guard)
    }

    /// Looks at what has changed, and all others.
    fn counts(&self) -> (usize, usize) {
        let all = self.0.lock().unwrap();
        let marks =
            all.iter().filter(|sql| sql.contains("UNION ALL") && sql.contains("data_drip_run_log_totals")).count();
        (marks, all.len() - marks)
    }

    /// Waits for so many more looks, and tells how many other statements there were meanwhile.
    async fn beside(&self, looks: usize) -> usize {
        let (before, others) = self.counts();
        until(async || (self.counts().0 >= before + looks).then_some(())).await;
        self.counts().1 - others
    }
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut text = Text::default();
            event.record(&mut text);
            // What a connection is told when it is opened is no question.
            if !text.0.starts_with("SET ") {
                self.0.lock().unwrap().push(text.0);
            }
        }
    }
}

/// A statement's text: its summary, and where that is not all of it, the whole.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        if matches!(field.name(), "summary" | "db.statement") {
            self.0.push_str(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// A browser that follows the page of a run.
struct Watcher {
    connection: TcpStream,
    heard: String,
}

impl Watcher {
    async fn new(port: u16, run: RunId) -> Self {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = format!("GET /ops/backfill_runs/{run}/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut watcher = Self { connection, heard: String::new() };
        watcher.told("live-head").await;
        watcher
    }

    /// Waits until the next thing that is told contains `part`.
    async fn told(&mut self, part: &str) {
        let hearing = async {
            while !self.heard.contains(part) {
                let mut bytes = [0; 8_192];
                let read = self.connection.read(&mut bytes).await.unwrap();
                assert_ne!(read, 0, "the stream ended: {}", self.heard);
                self.heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        };
        let heard = tokio::time::timeout(crate::suite::PATIENCE, hearing).await.is_ok();
        assert!(heard, "{part} is not in {}", self.heard);
        self.heard.clear();
    }
}

/// A host that works on nothing: every statement is the dashboard's.
struct Host {
    database: Database,
    port: u16,
    runs: Vec<RunId>,
    statements: Statements,
    _guard: DefaultGuard,
}

impl Host {
    async fn start() -> Option<Self> {
        let database = Database::with_items(10).await?;
        let (quiet, _) = engine(&database, 1).await;
        let mut runs = Vec::new();
        for tag in 0..PAGES + 2 {
            let run = quiet.enqueue(StampAll { tag: i64::try_from(tag).unwrap() }).await.unwrap();
            quiet.stop(run.id).await.unwrap();
            runs.push(run.id);
        }
        let (statements, guard) = Statements::collect();
        let drip = database.telling_builder().state(Gate::default()).build().await.unwrap();
        let port = serve(&drip).await;
        Some(Self { database, port, runs, statements, _guard: guard })
    }

    /// Opens streams, on so many pages in turn from the `first` run's on that nobody has watched yet, and waits until each page
    /// is loaded twice: at once, and after the first look, since what had changed before that was not known.
    async fn watched(&self, first: usize, pages: usize, watchers: usize, load: Option<usize>) -> Vec<Watcher> {
        let mut open = Vec::new();
        let (_, before) = self.statements.counts();
        for place in 0..watchers {
            open.push(Watcher::new(self.port, self.runs[first + place % pages]).await);
        }
        match load {
            Some(load) => {
                let loaded = before + 2 * pages * load;
                until(async || (self.statements.counts().1 >= loaded).then_some(())).await;
            }
            None => drop(self.statements.beside(2).await),
        }
        open
    }

    /// How many statements it takes to tell everybody who watches the `first` run's page that it has changed.
    async fn tell(&self, watchers: &mut [Watcher], first: usize, pages: usize) -> usize {
        let (_, before) = self.statements.counts();
        let (total, run) = (100 + first, self.runs[first]);
        let change = format!("UPDATE data_drip_backfill_runs SET total = {total}, total_exact = 1 WHERE id = {run}");
        self.database.run(&change).await;
        for watcher in watchers.iter_mut().step_by(pages) {
            watcher.told(&format!("of {total}")).await;
        }
        self.statements.beside(1).await;
        self.statements.counts().1 - before
    }
}

async fn serve(drip: &DataDrip) -> u16 {
    let who = async || Access::Look(Backfiller::new(1, "Ada"));
    let app: Router = Router::new().nest("/ops", drip.dashboard(who));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

#[tokio::test]
async fn two_hundred_streams_cost_what_one_does() {
    let Some(host) = Host::start().await else { return };
    let mut one = host.watched(0, 1, 1, None).await;
    assert_eq!(host.statements.beside(2).await, 0, "nothing has changed: nothing is asked but that");
    let load = host.tell(&mut one, 0, 1).await;
    assert!(load > 0, "the page is loaded");
    drop(one);

    for (first, pages) in [(1, 1), (2, PAGES)] {
        let mut many = host.watched(first, pages, WATCHERS, Some(load)).await;
        assert_eq!(host.statements.beside(2).await, 0, "{pages} pages");
        let told = host.tell(&mut many, first, pages).await;
        assert_eq!(told, load, "one page is loaded once, for all who watch it");
    }
}
