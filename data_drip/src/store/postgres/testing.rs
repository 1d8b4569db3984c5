//! A schema of its own for each test on the server that `DATA_DRIP_TEST_POSTGRES` names, kept when the test fails.

use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, Postgres};

use crate::backend::Backend;

pub(crate) struct Schema {
    name: String,
    options: PgConnectOptions,
}

/// The server for tests; `None`, loudly, where none is named.
fn server() -> Option<PgConnectOptions> {
    if let Ok(url) = std::env::var("DATA_DRIP_TEST_POSTGRES") {
        return Some(PgConnectOptions::from_str(&url).unwrap().disable_statement_logging());
    }
    // Straight to the file: what a passing test prints is not shown.
    let test = std::thread::current();
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {} (DATA_DRIP_TEST_POSTGRES is not set)",
        test.name().unwrap_or("a test")
    );
    None
}

impl Schema {
    pub(crate) async fn new() -> Option<Self> {
        let server = server()?;
        let name = format!("data_drip_{}", uuid::Uuid::now_v7().simple());
        let mut conn = server.connect().await.unwrap();
        run(&mut conn, &format!("CREATE SCHEMA {name}")).await;
        let options = server.options([("search_path", format!("{name},public"))]);
        Some(Self { name, options })
    }

    /// A connection to a new schema that `script` has set up.
    pub(crate) async fn with(script: &str) -> Option<(Self, PgConnection)> {
        let schema = Self::new().await?;
        let mut conn = schema.connect().await;
        run(&mut conn, script).await;
        Some((schema, conn))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        self.options.connect().await.unwrap()
    }

    pub(crate) fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(16).connect_lazy_with(self.options())
    }

    pub(crate) async fn session(&self, conn: &mut PgConnection) -> <Postgres as Backend>::Session {
        Postgres::attach(conn, &Arc::new(self.options())).await.unwrap()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: schema {}", self.name);
            return;
        }
        let (options, name) = (self.options.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = options.connect().await.unwrap();
                // A connection that the test left open may be in a transaction.
                run(&mut conn, &format!("SET lock_timeout = '5s'; DROP SCHEMA {name} CASCADE")).await;
            });
        });
        if dropping.join().is_err() {
            eprintln!("left behind: schema {}", self.name);
        }
    }
}

pub(crate) async fn run(conn: &mut PgConnection, script: &str) {
    sqlx::raw_sql(AssertSqlSafe(script.to_owned())).execute(conn).await.unwrap();
}

pub(crate) async fn int(conn: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(conn).await.unwrap()
}

/// Makes sure that an extension is there, in `public`; `None` where no server is named.
pub(crate) async fn extension(name: &str) -> Option<()> {
    let mut conn = server()?.connect().await.unwrap();
    // Two at once would collide.
    let script = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtext('data_drip test extension'));
         CREATE EXTENSION IF NOT EXISTS {name} SCHEMA public; COMMIT"
    );
    run(&mut conn, &script).await;
    Some(())
}
