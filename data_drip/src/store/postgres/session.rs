//! Control over one PostgreSQL connection, by settings of its transaction: all of them go out with the `BEGIN`, in one round
//! trip, and end with the transaction, so that a pooler in between does no harm.
//!
//! - `data_drip.fence` is the guard. It is there as long as this very transaction is; the completion asks for it, and so
//!   it cannot happen after a hand-written `COMMIT` or `ROLLBACK`.
//! - `application_name` tells the transaction apart from all others. What has to be interrupted is found by it, so that
//!   no later transaction of the same connection can be hit.
//! - `lock_timeout` is short: the application waits for one batch's transaction at most, and a batch for the
//!   application not much longer.
//! - `idle_in_transaction_session_timeout` and its like end a transaction whose process stands still or has lost its network.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgTransactionManager, Postgres};
use sqlx::{ConnectOptions, Connection, Row};
use sqlx_core::transaction::TransactionManager;

use super::{code, pooler};
use crate::backend::{Backend, Session, Statement};
use crate::store::batches::Fence;

/// How long user code, and the engine beside it, waits for a row that somebody else has locked.
const LOCK_TIMEOUT: &str = "800ms";
/// How long an answer may take before what runs is cancelled, and cancelled again.
const SOON: Duration = Duration::from_millis(50);
const AGAIN: Duration = Duration::from_millis(500);
/// How long to try before the connection counts as dead.
const PATIENCE: Duration = Duration::from_secs(20);
/// Batches of a connection after which its statements are planned anew, and every so many after those. A plan is kept for as long
/// as the statistics are: one that was made for a handful of batches reads all of them for each, however many they have become
/// until the statistics follow (seen: 50 ms for each batch with 60,000 of them).
const PLANNED_ANEW: [u64; 2] = [64, 512];
const PLANNED_ANEW_EVERY: u64 = 4_096;
/// Batches of a connection from on which it is worth it that the look at a claim is kept on it.
const STAYS: u64 = 2;
/// Fails unless the claim is held and its run runs. In SQL that is prepared as such: with values in it the look would be planned
/// each time, and as the driver prepares statements it cannot go out with the `BEGIN`. Behind a pooler a connection may have it from a
/// process of another version: a look that means something else needs another name.
const LOOK: &str = "data_drip_look (bigint, text, bigint) AS SELECT CAST(CASE WHEN EXISTS (\
     SELECT FROM data_drip_backfill_run_batches b JOIN data_drip_backfill_runs r ON r.id = b.run_id \
     WHERE b.id = $1 AND b.worker = $2 AND b.epoch = $3 AND b.status = 'running' AND r.status = 'running') \
     THEN '1' ELSE 'the claim of ' || $2 || ' is over' END AS integer)";
/// The version from on which a server looks after its clients while it works.
const CHECKS_CLIENTS: u32 = 140_000;

/// Control over one PostgreSQL connection.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct PostgresSession(Arc<Control>);

#[derive(Debug)]
struct Control {
    options: Arc<PgConnectOptions>,
    /// How the names of this connection's transactions begin.
    name: String,
    /// Of the transaction that is open.
    fence: Mutex<String>,
    /// Whether the server runs on Linux, once that is known.
    on_linux: OnceLock<bool>,
    /// Begun so far.
    batches: AtomicU64,
    /// What has become of the prepared look: a [`Look`].
    look: AtomicU8,
    interrupted: AtomicBool,
    guarded: AtomicBool,
}

/// What is known about the prepared look on a connection.
#[derive(Clone, Copy)]
enum Look {
    Untried,
    Kept,
    Never,
}

impl PostgresSession {
    pub(super) fn new(options: Arc<PgConnectOptions>) -> Self {
        let random = uuid::Uuid::new_v4().as_u64_pair().0;
        Self(Arc::new(Control {
            options,
            name: format!("data_drip {random:016x} "),
            fence: Mutex::default(),
            on_linux: OnceLock::new(),
            batches: AtomicU64::new(0),
            look: AtomicU8::new(Look::Untried as u8),
            interrupted: AtomicBool::new(false),
            guarded: AtomicBool::new(false),
        }))
    }

    /// The statements that begin a batch's transaction. As `SET LOCAL`: the same as a `SELECT` of `set_config` costs the server
    /// 50 µs more.
    pub(super) async fn begin(&self, conn: &mut PgConnection, fence: &str, silence: Duration) -> sqlx::Result<String> {
        let Control { name, fence: kept, .. } = &*self.0;
        fence.clone_into(&mut kept.lock().unwrap_or_else(PoisonError::into_inner));
        let silence = silence.as_millis().clamp(1, 86_400_000).to_string();
        let name = format!("{name}{fence}");
        let settings = [
            ("data_drip.fence", fence),
            ("application_name", &name),
            ("lock_timeout", LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", &silence),
        ];
        let on_linux = self.settings_of_its_system(conn).await?.iter().map(|setting| (*setting, silence.as_str()));
        let settings = settings.into_iter().chain(on_linux).map(|(setting, value)| local(setting, value));
        let anew = if self.plans_anew() { "; DISCARD PLANS" } else { "" };
        Ok(format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE{}{anew}", settings.collect::<String>()))
    }

    /// The statements that follow those of `begin`, and look at the claim.
    pub(super) fn look_at(&self, fence: &Fence<'_>) -> String {
        let prepare = if self.look_is(Look::Kept) { String::new() } else { format!("; PREPARE {LOOK}") };
        let worker = fence.worker.replace('\'', "''");
        format!("{prepare}; EXECUTE data_drip_look({}, '{worker}', {})", fence.batch, fence.epoch)
    }

    pub(super) fn keeps_look(&self) {
        self.0.look.store(Look::Kept as u8, Ordering::Relaxed);
    }

    /// Learns from a look that failed.
    pub(super) fn doubts(&self, error: &sqlx::Error) {
        match code(error).as_deref() {
            // Not a number: the claim is over. Or it was prepared when this connection was in other hands.
            Some("22P02" | "42P05") => self.keeps_look(),
            // It is not there any more: somebody has thrown it away, or a pooler gives each transaction another connection.
            _ if !Postgres::is_transient(error) => self.0.look.store(Look::Never as u8, Ordering::Relaxed),
            _ => {}
        }
    }

    fn look_is(&self, look: Look) -> bool {
        self.0.look.load(Ordering::Relaxed) == look as u8
    }

    /// Settings that servers on other systems refuse, or complain about in their log each time.
    async fn settings_of_its_system(&self, conn: &mut PgConnection) -> sqlx::Result<&'static [&'static str]> {
        let version = conn.server_version_num();
        let is_linux = if let Some(known) = self.0.on_linux.get() {
            *known
        } else {
            let is_linux = sqlx::raw_sql("SELECT version() LIKE '%linux%'").fetch_one(conn).await?.try_get(0)?;
            *self.0.on_linux.get_or_init(|| is_linux)
        };
        Ok(match (is_linux, version) {
            (false, _) => &[],
            (true, Some(CHECKS_CLIENTS..)) => &["tcp_user_timeout", "client_connection_check_interval"],
            (true, _) => &["tcp_user_timeout"],
        })
    }

    fn plans_anew(&self) -> bool {
        let number = self.0.batches.fetch_add(1, Ordering::Relaxed) + 1;
        PLANNED_ANEW.contains(&number) || number.is_multiple_of(PLANNED_ANEW_EVERY)
    }

    pub(super) fn guard(&self) {
        self.0.guarded.store(true, Ordering::Release);
    }

    pub(super) async fn unguard(&self, conn: &mut PgConnection, answered: bool) -> sqlx::Result<bool> {
        let same = if self.is_interrupted() {
            self.quieten(conn).await?;
            true
        } else {
            answered || self.fence_stands(conn).await?
        };
        let depth = PgTransactionManager::get_transaction_depth(conn);
        if depth != 1 {
            mend(conn, depth).await?;
        }
        self.0.guarded.store(false, Ordering::Release);
        Ok(same && depth == 1)
    }

    /// Whether the connection is still in the transaction that was begun for the fence.
    async fn fence_stands(&self, conn: &mut PgConnection) -> sqlx::Result<bool> {
        settle(conn).await?;
        let fence = "SELECT current_setting('data_drip.fence', true)";
        match sqlx::query_scalar::<_, Option<String>>(fence).persistent(pooler::keeps_names()).fetch_one(conn).await {
            Ok(fence) => Ok(fence.as_ref() == Some(&*self.0.fence.lock().unwrap_or_else(PoisonError::into_inner))),
            // An error has spoilt it, which is what user code is about to say; but it is there.
            Err(error) if code(&error).as_deref() == Some("25P02") => Ok(true),
            // Outside of a transaction a pooler sends a statement's parts to different sessions: there is none, or another one.
            Err(error) if !pooler::keeps_names() && matches!(code(&error).as_deref(), Some("26000" | "08P01")) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends what runs, and waits for its answer.
    async fn quieten(&self, conn: &mut PgConnection) -> sqlx::Result<()> {
        let since = Instant::now();
        let mut wait = SOON;
        loop {
            if let Ok(settled) = tokio::time::timeout(wait, settle(conn)).await {
                return settled;
            }
            if since.elapsed() > PATIENCE {
                let message = "a statement could not be cancelled";
                return Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message)));
            }
            if let Ok(Err(error)) = tokio::time::timeout(PATIENCE / 4, self.cancel()).await {
                tracing::debug!(%error, "could not cancel a statement yet");
            }
            wait = AGAIN;
        }
    }

    /// Cancels what runs in this connection's open transaction, from another connection.
    async fn cancel(&self) -> sqlx::Result<()> {
        let mut other = self.0.options.connect().await?;
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
             WHERE starts_with(application_name, $1) AND datname = current_database()";
        Postgres::execute(&mut other, Statement::of(cancel).bind(self.0.name.as_str())).await?;
        other.close().await
    }
}

/// Sets something until the end of the transaction.
fn local(setting: &str, value: &str) -> String {
    format!("; SET LOCAL {setting} = '{}'", value.replace('\'', "''"))
}

/// Waits for the answers to everything that was sent before, whatever they say.
async fn settle(conn: &mut PgConnection) -> sqlx::Result<()> {
    loop {
        match conn.ping().await {
            Err(sqlx::Error::Database(_)) => {}
            answer => return answer,
        }
    }
}

/// Brings sqlx's count of open transactions back to one, so that the caller's rollback ends the outermost.
async fn mend(conn: &mut PgConnection, depth: usize) -> sqlx::Result<()> {
    for _ in 1..depth {
        PgTransactionManager::start_rollback(conn);
    }
    settle(conn).await?;
    if depth == 0 {
        // The caller's rollback would do nothing. A warning where nothing is open.
        sqlx::raw_sql("ROLLBACK").execute(conn).await?;
    }
    Ok(())
}

impl Session for PostgresSession {
    fn interrupt(&self) {
        self.0.interrupted.store(true, Ordering::Release);
    }

    fn is_restless(&self) -> bool {
        self.is_interrupted() || self.0.guarded.load(Ordering::Acquire)
    }

    fn resume(&self) {
        self.0.interrupted.store(false, Ordering::Release);
    }

    fn is_interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::Acquire)
    }

    fn is_new_schema(&self, _: i64) -> bool {
        false
    }

    fn lift(&self) {
        // A deadline ends with its statement's own transaction.
    }

    fn looks(&self) -> bool {
        pooler::keeps_names() && !self.look_is(Look::Never) && self.0.batches.load(Ordering::Relaxed) >= STAYS
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
