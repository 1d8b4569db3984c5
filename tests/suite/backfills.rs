//! One behaviour each.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::AssertSqlSafe;

use super::gate::Gate;
use super::stamp::stamp;
use crate::database::prelude::*;
use crate::database::{LONG, Row, sql};

async fn execute(batch: &mut Batch<'_>, script: &'static str) -> sqlx::Result<()> {
    sqlx::raw_sql(script).execute(batch.conn()).await.map(drop)
}

/// Processes a batch at a time.
#[backfill]
pub struct StampAll {
    /// Tells runs apart that are otherwise the same.
    pub tag: i64,
}

#[backfill]
impl StampAll {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        gate.pass().await;
        stamp(batch).await
    }
}

/// The same, one batch at a time over all workers.
#[backfill(concurrency = 1)]
pub struct StampAlone;

#[backfill]
impl StampAlone {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        gate.pass().await;
        stamp(batch).await
    }
}

/// An item as [`StampEach`] reads it.
pub struct Item {
    id: i64,
}

impl<'r> sqlx::FromRow<'r, Row> for Item {
    fn from_row(row: &'r Row) -> sqlx::Result<Self> {
        Ok(Self { id: sqlx::Row::try_get(row, "id")? })
    }
}

/// Processes row by row.
#[backfill]
pub struct StampEach;

#[backfill]
impl StampEach {
    fn scope(&self) -> Scope {
        Scope::table("items").columns(["id"])
    }

    async fn process_element(&self, item: Item, conn: &mut Connection, run: &Run) -> data_drip::Result {
        sqlx::query(sql("UPDATE items SET touched = touched + 1 WHERE id = ?"))
            .bind(item.id)
            .execute(&mut *conn)
            .await?;
        sqlx::query(sql("INSERT INTO ledger (run, item) VALUES (?, ?)"))
            .bind(run.id.0)
            .bind(item.id)
            .execute(conn)
            .await?;
        Ok(())
    }
}

/// Writes without a helper of the batch, which takes the rows out of the scope.
#[backfill]
pub struct ByHand;

#[backfill]
impl ByHand {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("touched").eq(0))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let bounds = [batch.info().range.after.as_ref(), Some(&batch.info().range.upto)];
        let [after, upto] = bounds.map(|key| key.map_or(0, |key| key.to_string().parse::<i64>().unwrap_or(i64::MAX)));
        sqlx::query(sql("UPDATE items SET touched = 1 WHERE id > ? AND id <= ? AND touched = 0"))
            .bind(after)
            .bind(upto)
            .execute(batch.conn())
            .await?;
        Ok(())
    }
}

/// Refuses its run before anything is planned.
#[backfill]
pub struct Unready;

#[backfill]
impl Unready {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn before_run(&self, _run: &Run, _conn: &mut Connection) -> data_drip::Result {
        Err("not today".into())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        stamp(batch).await
    }
}

/// What can go wrong in a batch.
#[derive(OptionEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error of user code.
    Error,
    /// A panic.
    Panic,
    /// An error of the database, returned.
    Database,
    /// An error of the database, swallowed.
    Swallowed,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `COMMIT`, and a new transaction.
    CommitAndBegin,
    /// A transaction inside the batch's, never ended.
    Nested,
    /// A row that refers to none.
    Dangling,
    /// A change of the schema.
    Ddl,
    /// A statement that takes minutes.
    Long,
    /// User code that never ends, outside of the database.
    Hang,
}

/// Goes wrong over one item, after everything is written.
#[backfill]
pub struct Faulty {
    pub fault: Fault,
    pub item: i64,
}

#[backfill]
impl Faulty {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        let faulty = holds(batch, self.item).await?;
        stamp(batch).await?;
        gate.pass().await;
        if faulty && !gate.is_mended() { go_wrong(self.fault, batch).await } else { Ok(()) }
    }
}

/// The same, with a bound on its time.
#[backfill(timeout = "300ms")]
pub struct Bounded {
    pub fault: Fault,
    pub item: i64,
}

#[backfill]
impl Bounded {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let faulty = holds(batch, self.item).await?;
        stamp(batch).await?;
        if faulty { go_wrong(self.fault, batch).await } else { Ok(()) }
    }
}

/// Whether the item is in the batch. Pins its rows.
async fn holds(batch: &mut Batch<'_>, item: i64) -> data_drip::Result<bool> {
    let item = item.to_string();
    Ok(batch.keys().await?.iter().any(|key| key.to_string() == item))
}

async fn go_wrong(fault: Fault, batch: &mut Batch<'_>) -> data_drip::Result {
    match fault {
        Fault::Error => return Err("this item is not for me".into()),
        Fault::Panic => panic!("this item is too much"),
        Fault::Database => execute(batch, "SELECT nonsense").await?,
        Fault::Swallowed => {
            execute(batch, "INSERT INTO unique_words VALUES ('twice')").await?;
            let _ = execute(batch, "INSERT INTO unique_words VALUES ('twice')").await;
        }
        Fault::Commit => execute(batch, "COMMIT").await?,
        Fault::Rollback => execute(batch, "ROLLBACK").await?,
        Fault::CommitAndBegin => execute(batch, "COMMIT; BEGIN").await?,
        Fault::Nested => std::mem::forget(sqlx::Connection::begin(batch.conn()).await?),
        Fault::Dangling => execute(batch, "INSERT INTO pledges VALUES (-1)").await?,
        Fault::Ddl => execute(batch, "CREATE TABLE made_by_a_batch (id integer)").await?,
        Fault::Long => sqlx::raw_sql(AssertSqlSafe(LONG)).execute(batch.conn()).await.map(drop)?,
        Fault::Hang => std::future::pending().await,
    }
    Ok(())
}

/// Prepares a run, at the gate.
#[backfill]
pub struct Prepared;

#[backfill]
impl Prepared {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn before_run(&self, _run: &Run, conn: &mut Connection, gate: State<Gate>) -> data_drip::Result {
        sqlx::raw_sql("INSERT INTO unique_words VALUES ('prepared')").execute(conn).await?;
        gate.pass().await;
        Ok(())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        stamp(batch).await
    }
}

/// Holds the batch of one place at the gate.
#[backfill]
pub struct StampBeside {
    pub held: u64,
}

#[backfill]
impl StampBeside {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        if batch.info().position == self.held {
            gate.pass().await;
        }
        stamp(batch).await
    }
}

/// Takes its time to prepare a run, at the gate.
#[backfill]
pub struct Preparing {
    /// Tells runs apart.
    pub tag: i64,
}

#[backfill]
impl Preparing {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn before_run(&self, _run: &Run, _conn: &mut Connection, gate: State<Gate>) -> data_drip::Result {
        gate.pass().await;
        Ok(())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        stamp(batch).await
    }
}

/// From which batch on [`StampOnce`] stays at the gate.
pub static HELD_FROM: AtomicU64 = AtomicU64::new(u64::MAX);

/// Takes items out of its scope; holds batch 100, and those from [`HELD_FROM`] on, at the gate.
#[backfill]
pub struct StampOnce;

#[backfill]
impl StampOnce {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("touched").eq(0))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>, gate: State<Gate>) -> data_drip::Result {
        let position = batch.info().position;
        if position == 100 || position >= HELD_FROM.load(Ordering::SeqCst) {
            gate.pass().await;
        }
        stamp(batch).await
    }
}
