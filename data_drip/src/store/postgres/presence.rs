//! A worker's own connection to PostgreSQL: it listens for calls, and holds an advisory lock of the session.
//!
//! Both mean nothing through a pooler that gives each transaction another connection. So nothing is believed before a call
//! has gone out through one connection and come back on this one. And nobody listens before it is seen that a connection ends
//! on the server when it ends here: through a pooler the one that listens would be handed on, and a client that did not ask
//! for calls does not expect any (sqlx gives up the connection: seen).

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use crate::backend::{Backend, Call, Presence, Proof, Statement};
use crate::backfill::BoxFuture;

const WORK: &str = "work";
const BATCHES: &str = "batches";
const TEST: &str = "test";

/// The tables' own number tells them apart from those of another schema of the same database.
const CHANNEL: &str = "SELECT 'data_drip_' || 'data_drip_backfill_runs'::regclass::oid";
const CALL: &str = "SELECT pg_notify('data_drip_' || 'data_drip_backfill_runs'::regclass::oid, $1)";

/// How long a call may take to come back: the server answers in milliseconds, or never.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls all workers, with the commit of the transaction that is open.
pub(super) async fn call(conn: &mut PgConnection, what: Call) -> sqlx::Result<()> {
    let word = match what {
        Call::Work => WORK,
        Call::Batches => BATCHES,
        Call::Test => TEST,
    };
    // One row, of no content.
    Postgres::fetch(conn, Statement::of(CALL).bind(word)).await.map(drop)
}

pub(super) async fn open(options: Arc<PgConnectOptions>) -> sqlx::Result<Option<Box<dyn Presence<Postgres>>>> {
    let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).acquire_timeout(PATIENCE);
    let pool = pool.connect_lazy_with((*options).clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    // A lost connection has lost its lock as well: whoever waits has to know.
    listener.eager_reconnect(false);
    // Not negative: one half of a lock's number.
    let token = i32::from_ne_bytes(uuid::Uuid::new_v4().as_u128().to_ne_bytes()[..4].try_into().unwrap_or_default());
    Ok(Some(Box::new(Listening { pool, listener, token: token & i32::MAX, proven: false })))
}

struct Listening {
    pool: PgPool,
    listener: PgListener,
    token: i32,
    proven: bool,
}

impl Listening {
    /// Whether the connection is this process's own, as far as can be seen before it listens.
    async fn begin(&mut self, other: &mut PgConnection) -> sqlx::Result<bool> {
        if !ends_with_us(&self.pool.connect_options(), other).await? {
            return Ok(false);
        }
        let channel: String = self.ask(CHANNEL).await?;
        self.listener.listen(&channel).await?;
        Ok(true)
    }

    /// Asks without preparing anything.
    async fn ask<T>(&mut self, question: impl Into<String>) -> sqlx::Result<T>
    where
        T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        sqlx::raw_sql(AssertSqlSafe(question.into())).fetch_one(&mut self.listener).await?.try_get(0)
    }

    async fn hear(&mut self) -> sqlx::Result<Call> {
        match self.listener.try_recv().await? {
            Some(call) => Ok(match call.payload() {
                TEST => Call::Test,
                BATCHES => Call::Batches,
                // Or a word of another version, which may be about anything.
                _ => Call::Work,
            }),
            None => {
                Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the connection that listens is lost")
                    .into())
            }
        }
    }

    async fn try_out(&mut self, other: &mut PgConnection) -> sqlx::Result<Proof> {
        if !self.proven && !self.begin(other).await? {
            return Ok(Proof::Void);
        }
        call(other, Call::Test).await?;
        let Ok(heard) = tokio::time::timeout(ANSWER, self.hear()).await else { return Ok(Proof::Void) };
        let heard = heard?;
        if !self.proven {
            let lock = format!("SELECT pg_try_advisory_lock({LOCKS}, {})", self.token);
            if !self.ask::<bool>(lock).await? {
                return Err(sqlx::Error::Protocol(
                    "a lock is taken that was drawn by lot: another one is tried".into(),
                ));
            }
            self.proven = true;
        }
        Ok(Proof::Heard(heard))
    }
}

/// Whether a connection that is closed here ends on the server. A pooler keeps it for others.
async fn ends_with_us(options: &PgConnectOptions, other: &mut PgConnection) -> sqlx::Result<bool> {
    let mut trial = options.connect().await?;
    let served =
        "SELECT pid::text, extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = sqlx::raw_sql(served).fetch_one(&mut trial).await?;
    let (pid, since): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    trial.close().await?;
    let left = format!(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = {pid} AND extract(epoch FROM backend_start) = {since}"
    );
    let mut pause = Duration::from_millis(5);
    while pause < ENDED {
        if !sqlx::raw_sql(AssertSqlSafe(left.as_str())).fetch_one(&mut *other).await?.try_get::<bool, _>(0)? {
            return Ok(true);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(false)
}

/// How long the server may take to end a connection that was closed.
const ENDED: Duration = Duration::from_secs(2);

/// The first half of the locks' numbers; `select_workers.sql` and `lock_worker.sql` have it as well.
const LOCKS: i32 = 1_684_632_682;

impl Presence<Postgres> for Listening {
    fn token(&self) -> i64 {
        self.token.into()
    }

    fn heard(&mut self) -> BoxFuture<'_, sqlx::Result<Call>> {
        Box::pin(self.hear())
    }

    fn prove<'p>(&'p mut self, other: &'p mut PgConnection) -> BoxFuture<'p, sqlx::Result<Proof>> {
        Box::pin(self.try_out(other))
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Self { pool, listener, .. } = *self;
            drop(listener);
            pool.close().await;
        })
    }
}
