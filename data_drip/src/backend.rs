//! What the engine asks of a database driver. Implemented once per database, in `store/`.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Database, Pool, Transaction};

use crate::backfill::BoxFuture;
use crate::error::Error;
use crate::key::{Key, KeyPart};
use crate::run::RunId;
use crate::scope::{Scope, TableName, Value};
use crate::store::migrate::Migrate;

/// A statement with its bound values, ready for any driver.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Statement {
    pub(crate) sql: Cow<'static, str>,
    pub(crate) values: Vec<sea_query::Value>,
}

impl Statement {
    /// Static SQL, one of the files in `store/sql/`.
    pub(crate) fn of(sql: &'static str) -> Self {
        Self { sql: Cow::Borrowed(sql), values: Vec::new() }
    }

    pub(crate) fn bind(mut self, value: impl Into<sea_query::Value>) -> Self {
        self.values.push(value.into());
        self
    }
}

/// The table behind a scope, as the catalogue describes it, with the key that orders the walk.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[doc(hidden)]
pub struct KeySpec {
    /// Schema, where one was named.
    pub(crate) schema: Option<String>,
    /// The table, unquoted.
    pub(crate) table: String,
    /// Key columns in order.
    pub(crate) columns: Vec<String>,
    /// Columns after the first that may hold NULL although they belong to the key.
    #[serde(default)]
    pub(crate) nullable: Vec<String>,
    /// The key columns' types in the words of the database, where keys are bound with a cast. What the table says now,
    /// and not part of what makes two of these the same: a column may be widened during a run.
    #[serde(skip)]
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "SQLite's keys bring their types along")
    )]
    pub(crate) types: Vec<KeyType>,
    /// The index that orders the walk, where a statement can name it. What the table says now, as the types are.
    #[serde(skip)]
    #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "only MySQL's statements name indexes"))]
    pub(crate) index: Option<String>,
    /// Keep the optimizer from entering the table by an index of the filters': it would read all of that index for
    /// every batch. Advice of the moment, not part of what makes two of these the same.
    #[serde(default)]
    pub(crate) by_key_only: bool,
}

/// The type of a key column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct KeyType {
    /// As SQL spells it, quoted and qualified: what a cast to it names.
    pub(crate) sql: String,
    /// How its values are rendered and bound back.
    pub(crate) form: KeyForm,
    /// What its values are sorted by, which a longer column or a wider number does not change. It is kept with each key.
    pub(crate) order: String,
    /// The collation, where `sql` does not say it.
    pub(crate) collation: Option<String>,
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl KeyType {
    /// What stands before each value of a key; the first colon ends it.
    pub(crate) fn tag(&self) -> String {
        self.order.replace(':', ".")
    }

    /// Refuses a key that was named while the column was sorted in another way: between two such keys lie other rows now.
    pub(crate) fn check(&self, spec: &KeySpec, place: usize, part: &crate::key::KeyPart) -> Result<(), Error> {
        let now = self.tag();
        if part.tag == now {
            return Ok(());
        }
        let (column, then) = (&spec.columns[place], &part.tag);
        let message = format!(
            "the key column `{column}` of `{}` was sorted as `{then}` when this run was planned and is sorted as `{now}` by \
             now, so that its batches would leave rows out: start a new run",
            spec.table
        );
        Err(Error::new(crate::error::ErrorKind::Unsupported, message))
    }
}

/// How the values of a key column are rendered, so that no setting of a session changes what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum KeyForm {
    /// As text, which the type reads back as the same value.
    Text,
    /// A whole number, likewise; it has a `max` as well.
    Integer,
    /// Bytes, as hexadecimal.
    Bytes,
    /// Text of a character set that does not come back from Unicode as it was: its bytes, as hexadecimal.
    Encoded,
    /// Text of ASCII, each byte as the character of that number: what is no ASCII can be kept as such, too.
    Ascii,
    /// A date or a time without a zone, as ISO 8601.
    Iso,
    /// A point in time, as ISO 8601 in UTC.
    Instant,
}

impl PartialEq for KeySpec {
    fn eq(&self, other: &Self) -> bool {
        (&self.schema, &self.table, &self.columns) == (&other.schema, &other.table, &other.columns)
    }
}

impl Eq for KeySpec {}

impl fmt::Display for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        write!(f, "{} by ({})", self.table, self.columns.join(", "))
    }
}

/// What the catalogue says about a table.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct Described {
    /// The key that orders the walk.
    pub(crate) key: KeySpec,
    /// Every column, as the table spells it.
    pub(crate) columns: Vec<String>,
}

/// How a database would go about a statement, from its own `EXPLAIN`; nothing was run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether it reads a whole table or a whole index, whatever it finds there.
    pub full_scan: bool,
    /// The indexes that it reads, by name.
    pub indexes: Vec<String>,
    /// The plan in plain words, a sentence for each step.
    pub words: Vec<String>,
    /// The plan as the database says it.
    pub lines: Vec<String>,
}

/// A connection for reads that follow each other.
#[doc(hidden)]
pub enum Reads<'c, DB: Database> {
    /// As it was.
    Plain(&'c mut DB::Connection),
    /// In a transaction that bounds the time of its statements.
    Bounded(Transaction<'c, DB>),
}

impl<DB: Database> Reads<'_, DB> {
    pub(crate) fn conn(&mut self) -> &mut DB::Connection {
        match self {
            Self::Plain(conn) => conn,
            Self::Bounded(tx) => tx,
        }
    }

    pub(crate) async fn end(self) -> sqlx::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Bounded(tx) => tx.rollback().await,
        }
    }
}

/// A database that backfills run on.
///
/// Sealed: the engine relies on promises (transactions, fencing, row locks) that only a tested driver can make.
#[expect(private_bounds, reason = "sealed")]
pub trait Backend: Database + Sealed {
    /// The name in messages.
    #[doc(hidden)]
    const LABEL: &'static str;
    /// The most slots that make sense in one process; `None` for any number.
    #[doc(hidden)]
    const MAX_SLOTS: Option<usize>;
    /// The most values that one statement can take.
    #[doc(hidden)]
    const MAX_VALUES: usize;
    /// The engine's own statements.
    #[doc(hidden)]
    const SQL: &'static crate::store::Sql;
    /// Completes a batch and claims the next one, where the dialect can say it in one statement.
    #[doc(hidden)]
    const COMPLETE_AND_CLAIM: Option<&'static str> = None;
    /// Whether one statement can read page after page, each from where the one before has ended.
    #[doc(hidden)]
    const CHAINS_PAGES: bool = false;
    /// The most runs that one statement looks at with their sums.
    #[doc(hidden)]
    const RUNS_AT_ONCE: usize = usize::MAX;
    /// What makes the engine's tables, and the migrator's own one.
    #[doc(hidden)]
    const MIGRATIONS: &'static [crate::store::migrate::File];
    #[doc(hidden)]
    const MIGRATOR_TABLE: &'static str;
    /// Whether what bounds a transaction is set for its whole session, and stays set after it.
    #[doc(hidden)]
    const SETS_SESSIONS: bool = false;
    /// Whether names that differ in case only are the same column.
    #[doc(hidden)]
    const NAMES_FOLD: bool;
    /// Control over one connection: guard, interruption, deadline.
    #[doc(hidden)]
    type Session: Session;

    /// The same, for connections that walk and keep the books: they get by with little memory.
    #[doc(hidden)]
    fn frugal(options: ConnectOptions<Self>) -> ConnectOptions<Self>;
    /// Sets what a connection of the executor's own has set from its opening on.
    #[doc(hidden)]
    fn own(conn: &mut Self::Connection) -> BoxFuture<'_, sqlx::Result<()>>;
    /// Sets what bounds the engine's own transactions on a connection of the host's, where that
    /// [is set for a session](Backend::SETS_SESSIONS), until [`finish_batch`](Backend::finish_batch). `silence` is how long
    /// nothing may be heard of this process in the middle of one.
    #[doc(hidden)]
    fn bound<'c>(
        conn: &'c mut Self::Connection,
        session: &'c Self::Session,
        silence: Duration,
    ) -> BoxFuture<'c, sqlx::Result<()>> {
        let _ = (conn, session, silence);
        Box::pin(std::future::ready(Ok(())))
    }
    /// Takes control of a connection that was opened with these options.
    #[doc(hidden)]
    fn attach<'c>(
        conn: &'c mut Self::Connection,
        options: &'c Arc<ConnectOptions<Self>>,
    ) -> BoxFuture<'c, sqlx::Result<Self::Session>>;
    /// Gives it back as it was.
    #[doc(hidden)]
    fn detach(conn: &mut Self::Connection) -> BoxFuture<'_, sqlx::Result<()>>;
    /// Begins a transaction that may write, at the isolation the engine's promises need.
    #[doc(hidden)]
    fn begin(conn: &mut Self::Connection) -> BoxFuture<'_, sqlx::Result<Transaction<'_, Self>>>;
    /// Begins a transaction that user code will work in. `fence` names the claim that it works on; the completion of
    /// that claim is good in this transaction only. `silence` is how long nothing may be heard of this process before
    /// the database ends the transaction, where it can.
    #[doc(hidden)]
    fn begin_batch<'c>(
        conn: &'c mut Self::Connection,
        session: &'c Self::Session,
        fence: String,
        silence: Duration,
    ) -> BoxFuture<'c, sqlx::Result<Transaction<'c, Self>>>;
    /// As `begin_batch`, and fails unless the claim is held and its run runs: where one round trip can do both. A session that
    /// does not [look](Session::looks) is never asked.
    ///
    /// After an error of the database the connection is in a transaction that has failed, until
    /// [`undo_begin`](Backend::undo_begin).
    #[doc(hidden)]
    fn begin_held<'c>(
        conn: &'c mut Self::Connection,
        session: &'c Self::Session,
        fence: crate::store::batches::Fence<'c>,
        silence: Duration,
    ) -> BoxFuture<'c, sqlx::Result<Transaction<'c, Self>>> {
        Self::begin_batch(conn, session, fence.to_string(), silence)
    }
    /// Ends what [`begin_held`](Backend::begin_held) has left. With what went wrong, so that the session knows whether to look
    /// again.
    #[doc(hidden)]
    fn undo_begin<'c>(
        conn: &'c mut Self::Connection,
        session: &'c Self::Session,
        error: &'c sqlx::Error,
    ) -> BoxFuture<'c, sqlx::Result<()>> {
        let _ = (conn, session, error);
        Box::pin(std::future::ready(Ok(())))
    }
    /// Sets back what `begin_batch` or `bound` has set and the end of the transaction has not. Not needed between one batch and the
    /// next.
    #[doc(hidden)]
    fn finish_batch<'c>(conn: &'c mut Self::Connection, session: &'c Self::Session) -> BoxFuture<'c, sqlx::Result<()>>;
    /// Puts the guard around user code: from here on, an end of the transaction is noticed.
    #[doc(hidden)]
    fn guard<'c>(conn: &'c mut Self::Connection, session: &'c Self::Session) -> BoxFuture<'c, sqlx::Result<()>>;
    /// Takes the guard away, after ending what an interruption left running; `false` when the transaction is not the one
    /// that was guarded, or user code left a transaction of its own open inside it. The caller's rollback works either way.
    ///
    /// `answered`: a statement of the engine was sent since user code ended, and its answer has come. What user code may
    /// have left in the connection's queue is done by then; otherwise this has to wait for it.
    #[doc(hidden)]
    fn unguard<'c>(
        conn: &'c mut Self::Connection,
        session: &'c Self::Session,
        answered: bool,
    ) -> BoxFuture<'c, sqlx::Result<bool>>;

    /// Forgets the statements that the connection keeps prepared.
    #[doc(hidden)]
    fn forget_statements(conn: &mut Self::Connection) -> BoxFuture<'_, sqlx::Result<()>>;

    /// Runs a statement and returns its rows.
    #[doc(hidden)]
    fn fetch(conn: &mut Self::Connection, statement: Statement) -> BoxFuture<'_, sqlx::Result<Vec<Self::Row>>>;
    /// Runs a statement that writes nothing and returns its first row, for one answer of the driver instead of two: it
    /// does not wait to hear that there are no more rows, nor that a commit went through.
    #[doc(hidden)]
    fn first(conn: &mut Self::Connection, statement: Statement) -> BoxFuture<'_, sqlx::Result<Option<Self::Row>>>;
    /// Readies the connection for reads that follow each other, each ended after `most`, where a deadline costs more than a
    /// statement: for [`first_before`](Backend::first_before), once for all of them.
    #[doc(hidden)]
    fn begin_reads(conn: &mut Self::Connection, most: Duration) -> BoxFuture<'_, sqlx::Result<Reads<'_, Self>>> {
        let _ = most;
        Box::pin(std::future::ready(Ok(Reads::Plain(conn))))
    }
    /// As [`first`](Backend::first), ended at the deadline: with an error that [`is_interrupted`](Backend::is_interrupted)
    /// knows. Not inside a transaction, except that of [`begin_reads`](Backend::begin_reads), whose end it does not wait for.
    ///
    /// Dropped half-way, the statement still ends by its deadline; whoever drops it lifts that.
    #[doc(hidden)]
    fn first_before<'c>(
        conn: &'c mut Self::Connection,
        session: &'c Self::Session,
        deadline: Instant,
        statement: Statement,
    ) -> BoxFuture<'c, sqlx::Result<Option<Self::Row>>>;
    /// As [`first_before`](Backend::first_before), with all rows; also in the transaction of [`begin_reads`](Backend::begin_reads).
    #[doc(hidden)]
    fn fetch_before<'c>(
        conn: &'c mut Self::Connection,
        session: &'c Self::Session,
        deadline: Instant,
        statement: Statement,
    ) -> BoxFuture<'c, sqlx::Result<Vec<Self::Row>>>;
    /// Runs a statement and returns the rows it affected.
    #[doc(hidden)]
    fn execute(conn: &mut Self::Connection, statement: Statement) -> BoxFuture<'_, sqlx::Result<u64>>;
    /// The whole number in column `index`.
    #[doc(hidden)]
    fn int(row: &Self::Row, index: usize) -> sqlx::Result<Option<i64>>;
    /// The text in column `index`.
    #[doc(hidden)]
    fn text(row: &Self::Row, index: usize) -> sqlx::Result<Option<String>>;

    /// Writes a statement in the dialect.
    #[doc(hidden)]
    fn build(statement: &impl sea_query::QueryStatementWriter) -> Statement;
    /// Bytes as they stand in a statement.
    #[doc(hidden)]
    fn bytes_literal(bytes: &[u8]) -> String;
    /// A value in the form that the database stores it in.
    #[doc(hidden)]
    fn value(value: &Value) -> Result<sea_query::Expr, Error>;
    /// The expression that renders the key column at `place` as `tag:text`.
    #[doc(hidden)]
    fn key_text(spec: &KeySpec, place: usize) -> sea_query::Expr;
    /// The value to compare the key column at `place` with.
    #[doc(hidden)]
    fn key_value(spec: &KeySpec, place: usize, part: &KeyPart) -> Result<sea_query::Expr, Error>;
    /// `key > after`, in the form that the dialect answers from the index.
    #[doc(hidden)]
    fn key_after(spec: &KeySpec, after: &Key) -> Result<sea_query::Expr, Error>;
    /// `key <= upto`, likewise.
    #[doc(hidden)]
    fn key_upto(spec: &KeySpec, upto: &Key) -> Result<sea_query::Expr, Error>;
    /// `key < upto`, where a statement that locks up to a key would lock the row behind it as well, and wait for whoever has
    /// it: the key itself is then another statement's.
    #[doc(hidden)]
    fn key_before(spec: &KeySpec, upto: &Key) -> Result<Option<sea_query::Expr>, Error>;
    /// `key IN keys`, likewise.
    #[doc(hidden)]
    fn key_in(spec: &KeySpec, keys: &[Key]) -> Result<sea_query::Expr, Error>;
    /// Whether the greatest of a few keys, already in order, is best found by `max`.
    #[doc(hidden)]
    fn has_max(spec: &KeySpec) -> bool;
    /// Has a statement enter the table by the index of the key, where it can be told to.
    #[doc(hidden)]
    fn by_key(select: &mut sea_query::SelectStatement, spec: &KeySpec);
    /// Locks the rows that a statement reads until the end of the transaction.
    #[doc(hidden)]
    fn lock_rows(select: &mut sea_query::SelectStatement);

    /// The same statement with its values in it: for people to read, never to be run.
    #[doc(hidden)]
    fn spelled(statement: &impl sea_query::QueryStatementWriter) -> String;
    /// The expression that renders any column as text for people, cut to `most` characters; NULL stays NULL.
    #[doc(hidden)]
    fn shown(column: &str, most: u32) -> sea_query::Expr;
    /// Asks how the database would go about a statement, without running it.
    #[doc(hidden)]
    fn explain(conn: &mut Self::Connection, statement: Statement) -> BoxFuture<'_, Result<Explanation, Error>>;
    /// Makes the connection refuse every write, or take them again.
    #[doc(hidden)]
    fn read_only(conn: &mut Self::Connection, on: bool) -> BoxFuture<'_, sqlx::Result<()>>;

    /// Looks the table up, finds its key or checks the one named, and refuses what cannot be walked safely.
    #[doc(hidden)]
    fn describe<'c>(
        conn: &'c mut Self::Connection,
        table: &'c TableName,
        key: Option<&'c [String]>,
    ) -> BoxFuture<'c, Result<Described, Error>>;
    /// Brings the engine's own tables up to date, or checks that they are.
    #[doc(hidden)]
    fn migrate(pool: &Pool<Self>, mode: Migrate) -> BoxFuture<'_, Result<(), Error>>;
    /// Whether the optimizer, left to itself, would enter the table by an index of the filters' that is not in the
    /// order of the key.
    #[doc(hidden)]
    fn needs_key_order<'c>(
        conn: &'c mut Self::Connection,
        scope: &'c Scope<Self>,
        spec: &'c KeySpec,
    ) -> BoxFuture<'c, Result<bool, Error>>;
    /// The same condition, but of no use to the optimizer.
    #[doc(hidden)]
    fn opaque(condition: sea_query::Expr) -> sea_query::Expr;
    /// About how many rows the table has, from its statistics; `None` when nothing says so.
    #[doc(hidden)]
    fn rows_about<'c>(conn: &'c mut Self::Connection, spec: &'c KeySpec) -> BoxFuture<'c, Result<Option<u64>, Error>>;
    /// Tells other processes beside the database, until the guard is dropped, that a run is being stopped now: where a
    /// batch in flight holds the lock that the stop needs.
    #[doc(hidden)]
    fn call_to_stop(pool: &Pool<Self>, run: RunId) -> Option<Box<dyn Send + Sync>>;
    /// Whether another process is stopping the run now and waits for its batches.
    #[doc(hidden)]
    fn is_called_to_stop(pool: &Pool<Self>, run: RunId) -> bool;
    /// Tells the workers of all processes, where the database can: with the commit of the transaction that this is part of.
    #[doc(hidden)]
    fn notify(conn: &mut Self::Connection, call: Call) -> BoxFuture<'_, sqlx::Result<()>>;
    /// Opens a connection that stands for a worker, where a database can show that one lives; `None` where it cannot.
    #[doc(hidden)]
    fn presence(
        options: Arc<ConnectOptions<Self>>,
    ) -> BoxFuture<'static, sqlx::Result<Option<Box<dyn Presence<Self>>>>>;
    /// Whether other connections can read while this one's transaction writes, and see what was before it.
    #[doc(hidden)]
    fn reads_beside_writer(conn: &mut Self::Connection) -> BoxFuture<'_, sqlx::Result<bool>>;
    /// Whether the database lives only as long as its connection.
    #[doc(hidden)]
    fn is_in_memory(pool: &Pool<Self>) -> BoxFuture<'_, sqlx::Result<bool>>;
    /// Whether this error, by itself, says that trying again can help.
    #[doc(hidden)]
    fn is_transient(error: &(dyn StdError + 'static)) -> bool;
    /// Whether a prepared statement was refused because its table has changed since.
    #[doc(hidden)]
    fn is_stale(error: &(dyn StdError + 'static)) -> bool;
    /// Whether a statement was refused because an earlier one of the same transaction had failed.
    #[doc(hidden)]
    fn is_spoilt(error: &sqlx::Error) -> bool;
    /// Whether a statement was ended by its session: interrupted, or past its deadline.
    #[doc(hidden)]
    fn is_interrupted(error: &sqlx::Error) -> bool;
}

/// How a database's connections are opened.
pub(crate) type ConnectOptions<DB> = <<DB as Database>::Connection as sqlx::Connection>::Options;

pub(crate) trait Sealed {}

/// A connection of its own that stands for a worker: it holds a lock as long as it is open, which others can see, and hears
/// when they call.
#[doc(hidden)]
pub trait Presence<DB: Database>: Send {
    /// The number of its lock.
    fn token(&self) -> i64;
    /// Resolves when somebody has called; never where the database passes on no calls. Dropped half-way, nothing is lost.
    fn heard(&mut self) -> BoxFuture<'_, sqlx::Result<Call>>;
    /// Has the database show that it is what it should be: what was heard meanwhile, or that it is not. A pooler in between
    /// can have given the lock, and the calls, to somebody else. `other` is any connection but this.
    fn prove<'p>(&'p mut self, other: &'p mut DB::Connection) -> BoxFuture<'p, sqlx::Result<Proof>>;
    /// Gives up the lock, and closes the connection.
    fn leave(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// What a worker hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Call {
    /// There may be work.
    Work,
    /// There may be batches to claim, and nothing else is new: a run that is at work is planned on.
    Batches,
    /// Somebody asks whether calls are heard.
    Test,
}

/// What a presence turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Proof {
    /// It holds its lock, and has heard this.
    Heard(Call),
    /// It holds its lock; nobody calls on this database.
    Held,
    /// Something in between keeps the calls, or the lock is not its own.
    Void,
}

/// Control over one connection.
#[doc(hidden)]
pub trait Session: Clone + Send + Sync + 'static {
    /// Ends the running statement and every later one, until [`resume`](Session::resume): at once, or when the guard is
    /// taken away.
    fn interrupt(&self);
    /// Whether it is interrupted, has a deadline, or guards.
    fn is_restless(&self) -> bool;
    /// Lets statements run again.
    fn resume(&self);
    /// Whether it was told to, and not to resume.
    fn is_interrupted(&self) -> bool;
    /// Takes note of the schema's version; whether it is another one than this session has seen last.
    fn is_new_schema(&self, version: i64) -> bool;
    /// Lifts a deadline that a dropped [`first_before`](Backend::first_before) left behind.
    fn lift(&self);
    /// Whether to begin with [`begin_held`](Backend::begin_held).
    fn looks(&self) -> bool {
        false
    }
}
