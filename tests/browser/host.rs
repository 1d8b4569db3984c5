//! A host application with the dashboard, on a port of its own, and the backfills that the tests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::response::Redirect;
use axum::routing::get;
use data_drip::Backfiller;
use data_drip::dashboard::Access;
use data_drip::sqlite::prelude::*;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing_subscriber::layer::SubscriberExt;

/// How a repeated hour is read.
#[derive(OptionEnum, Clone, Copy, Debug)]
pub(crate) enum Ambiguous {
    Reject,
    Earlier,
}

/// Gives every employee of a department a role.
///
/// Safe to repeat.
#[backfill(batch_size = 100)]
pub(crate) struct AddRole {
    /// Only employees of this department.
    pub(crate) department: String,
    #[option(min = 0, max = 120)]
    pub(crate) age: Option<i64>,
    #[option(default = true)]
    pub(crate) active_only: bool,
    #[option(default = Ambiguous::Reject)]
    pub(crate) ambiguous: Ambiguous,
    pub(crate) moment: Option<chrono::DateTime<chrono::Utc>>,
    /// A key for the personnel office.
    #[option(masked)]
    pub(crate) token: Option<String>,
}

#[backfill]
impl AddRole {
    fn scope(&self) -> Scope {
        Scope::table("employees").filter(col("role").is_null()).filter(col("department").eq(&self.department))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("role", "intern").execute().await?;
        Ok(())
    }
}

/// What a country's postal code looks like.
#[derive(OptionEnum, Clone, Copy, Debug)]
pub(crate) enum Country {
    Austria,
    Belgium,
    Denmark,
    France,
    Germany,
    Italy,
    Netherlands,
    Poland,
    Spain,
    Sweden,
}

/// Writes postal codes as the post of each country wants them.
#[backfill(batch_size = 250, timeout = "30s", max_attempts = 3)]
pub(crate) struct NormalisePostalCodes {
    /// Only addresses in these countries; none of them is all.
    pub(crate) countries: Vec<Country>,
    /// Codes that cannot be read are left as they are.
    #[option(default = true)]
    pub(crate) skip_unreadable: bool,
    #[option(default = 0.95, min = 0.0, max = 1.0)]
    pub(crate) confidence: f64,
    pub(crate) since: Option<chrono::NaiveDate>,
}

#[backfill]
impl NormalisePostalCodes {
    fn scope(&self) -> Scope {
        Scope::table("employees").filter(col("role").is_null())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let keys = batch.keys().await?;
        let unreadable = keys.iter().filter(|key| key.to_string().ends_with("13")).count();
        if unreadable > 0 {
            tracing::warn!(unreadable, skipped = self.skip_unreadable, "codes that cannot be read");
        }
        batch.update_all().set("role", "posted").execute().await?;
        tracing::info!(codes = keys.len() - unreadable, "normalised");
        Ok(())
    }
}

/// Counts the orders of each customer anew. Takes its time, so as to leave the shop some.
#[backfill(batch_size = 200, sleep = "50ms")]
pub(crate) struct RecountOrders {}

#[backfill]
impl RecountOrders {
    fn scope(&self) -> Scope {
        Scope::table("orders")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("counted", true).execute().await?;
        Ok(())
    }
}

/// Gives every shift its UTC time. Fails on an hour that was there twice, until somebody mends it.
#[backfill(batch_size = 500)]
pub(crate) struct UtcShifts {}

#[backfill]
impl UtcShifts {
    fn scope(&self) -> Scope {
        Scope::table("employees")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let keys = batch.keys().await?;
        let mended: i64 = sqlx::query_scalar("SELECT count(*) FROM mended").fetch_one(batch.conn()).await?;
        if mended == 0 && keys.iter().any(|key| key.to_string() == "700") {
            return Err("row 700: 2013-11-03 01:00 <America/New_York> is ambiguous".into());
        }
        batch.update_all().set("role", "mended").execute().await?;
        Ok(())
    }
}

/// Marks orders of past years as archived.
#[backfill]
pub(crate) struct ArchiveOrders {}

#[backfill]
impl ArchiveOrders {
    fn scope(&self) -> Scope {
        Scope::table("old_orders")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        batch.update_all().set("archived", true).execute().await?;
        Ok(())
    }
}

pub(crate) struct Host {
    pub(crate) pool: SqlitePool,
    pub(crate) drip: DataDrip,
    pub(crate) origin: String,
    signed_in: Arc<AtomicBool>,
    shut_down: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

impl Host {
    pub(crate) async fn start() -> Self {
        // One for all tests of the program: a subscriber is global. What is kept goes to each test's own database.
        let subscriber = tracing_subscriber::registry().with(data_drip::logs::layer());
        let _ = tracing::subscriber::set_global_default(subscriber);
        let folder = TempDir::new().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("host.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        let schema = "CREATE TABLE employees (id INTEGER PRIMARY KEY, department TEXT, role TEXT);
             CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, placed_at TEXT, counted BOOLEAN);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
             INSERT INTO orders SELECT i, i % 977, '2026-01-' || (10 + i % 20), NULL FROM n;
             CREATE TABLE mended (id INTEGER PRIMARY KEY);
             CREATE TABLE old_orders (id INTEGER PRIMARY KEY, archived BOOLEAN);
             INSERT INTO old_orders VALUES (1, NULL);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO employees SELECT i, 'Sales', NULL FROM n";
        sqlx::raw_sql(schema).execute(&pool).await.unwrap();

        let drip = DataDrip::builder(pool.clone()).build().await.unwrap();
        let worker = drip.start();
        let drip_of_host = drip.clone();
        let signed_in = Arc::new(AtomicBool::new(true));
        let session = Arc::clone(&signed_in);
        let who = move |_: Parts| {
            let signed_in = session.load(Ordering::Relaxed);
            let grace = Access::Act(Backfiller::new(7, "Grace Hopper"));
            async move { signed_in.then_some(grace).ok_or_else(|| Redirect::to("/login")) }
        };
        let look = async || Access::Look(Backfiller::new(8, "Ada Lovelace"));
        let app = Router::new()
            .route("/", get(async || "the host itself"))
            .route("/login", get(async || "who are you?"))
            .merge(drip.dashboard_at("/data_drip", who))
            .nest("/look", drip.dashboard(look));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (shut_down, signal) = oneshot::channel();
        let stop = worker.shutdown_on(async {
            let _ = signal.await;
        });
        let server = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stop).await });
        Self { pool, drip: drip_of_host, origin, signed_in, shut_down, server, _folder: folder }
    }

    /// The address of a page for who may act.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("{}/data_drip{path}", self.origin)
    }

    /// Ends the session of who may act, or begins it anew.
    pub(crate) fn sign_in(&self, yes: bool) {
        self.signed_in.store(yes, Ordering::Relaxed);
    }

    /// Shuts down as a host does, whatever is still open.
    pub(crate) async fn stop(self) {
        self.shut_down.send(()).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(15), self.server).await;
        ended.expect("an open page held the shutdown").unwrap().unwrap();
    }
}

/// Something between browser and host whose connections can be cut.
pub(crate) struct Cable {
    pub(crate) origin: String,
    cut: watch::Sender<()>,
}

impl Cable {
    pub(crate) async fn to(host: &Host) -> Self {
        let target = host.origin.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let cut = watch::Sender::new(());
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut cut, target) = (cuts.subscribe(), target.clone());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(target).await?;
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                    std::io::Result::Ok(())
                });
            }
        });
        Self { origin, cut }
    }

    /// Cuts what goes through now; what comes later gets through.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }
}
