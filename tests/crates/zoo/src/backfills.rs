//! The animals: one behaviour each.

use std::time::Duration;

use data_drip::sqlite::prelude::*;
use sqlx::AssertSqlSafe;

use herd::moments::{self, Moment, pass, pass_blocking};

/// Marks the items of a batch with its number and writes them into the ledger.
async fn stamp(batch: &mut Batch<'_>) -> data_drip::Result {
    let id = batch.info().id.0;
    batch.update_all().set("batch", id).set_expr("touched", "touched + 1").execute().await?;
    enter(batch).await
}

/// Writes what is marked with the batch's number into the ledger.
async fn enter(batch: &mut Batch<'_>) -> data_drip::Result {
    let (run, id) = (batch.run().id.0, batch.info().id.0);
    sqlx::query("INSERT INTO ledger (run, item, batch, process) SELECT ?, id, ?, ? FROM items WHERE batch = ?")
        .bind(run)
        .bind(id)
        .bind(moments::process())
        .bind(id)
        .execute(batch.conn())
        .await?;
    Ok(())
}

async fn execute(batch: &mut Batch<'_>, sql: &str) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(batch.conn()).await.map(drop)
}

/// Whether the item is in the batch. Pins its rows.
async fn holds(batch: &mut Batch<'_>, item: i64) -> data_drip::Result<bool> {
    let item = item.to_string();
    Ok(batch.keys().await?.iter().any(|key| key.to_string() == item))
}

/// Processes a batch at a time.
#[backfill]
pub struct StampAll {
    /// Takes so long over each batch, with its transaction open.
    #[option(default = 0)]
    pub linger_ms: u64,
    /// Tells runs apart that are otherwise the same.
    #[option(default = 0)]
    pub tag: i64,
}

#[backfill]
impl StampAll {
    fn scope(&self) -> Scope {
        pass_blocking(Moment::Scope);
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        stamp(batch).await?;
        pass(Moment::Written).await;
        tokio::time::sleep(Duration::from_millis(self.linger_ms)).await;
        Ok(())
    }
}

/// An item as [`StampEach`] reads it.
#[derive(Debug)]
pub struct Item {
    id: i64,
}

impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for Item {
    fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
        Ok(Self { id: sqlx::Row::try_get(row, "id")? })
    }
}

/// Processes row by row.
#[backfill]
pub struct StampEach;

#[backfill]
impl StampEach {
    fn scope(&self) -> Scope {
        pass_blocking(Moment::Scope);
        Scope::table("items").columns(["id"])
    }

    async fn process_element(&self, item: Item, conn: &mut Connection, run: &Run) -> data_drip::Result {
        sqlx::query("UPDATE items SET touched = touched + 1 WHERE id = ?").bind(item.id).execute(&mut *conn).await?;
        sqlx::query("INSERT INTO ledger (run, item, process) VALUES (?, ?, ?)")
            .bind(run.id.0)
            .bind(item.id)
            .bind(moments::process())
            .execute(conn)
            .await?;
        pass(Moment::Written).await;
        Ok(())
    }
}

/// Writes without a helper of the batch, so much that SQLite does not keep it in memory until the commit if need be.
#[backfill]
pub struct Heavy {
    /// Bytes for each item.
    pub bytes: i64,
}

#[backfill]
impl Heavy {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let id = batch.info().id.0;
        let bounds = [batch.info().range.after.as_ref(), Some(&batch.info().range.upto)];
        let [after, upto] = bounds.map(|key| key.map_or(0, |key| key.to_string().parse().unwrap_or(i64::MAX)));
        sqlx::query(
            "UPDATE items SET text = hex(zeroblob(? / 2)), touched = touched + 1, batch = ? WHERE id > ? AND id <= ?",
        )
        .bind(self.bytes)
        .bind(id)
        .bind(after)
        .bind(upto)
        .execute(batch.conn())
        .await?;
        enter(batch).await
    }
}

/// Aborts its process over one item, when everything is written.
#[backfill]
pub struct Deadly {
    /// The item.
    pub item: i64,
}

#[backfill]
impl Deadly {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let deadly = holds(batch, self.item).await?;
        stamp(batch).await?;
        if deadly {
            std::process::abort();
        }
        Ok(())
    }
}

/// Aborts its process before a batch's transaction begins, while the test wants it to.
#[backfill]
pub struct Doomed {
    /// In `scope()` instead of `before_run()`.
    pub in_scope: bool,
}

#[backfill]
impl Doomed {
    fn scope(&self) -> Scope {
        if self.in_scope {
            moments::die_if_doomed();
        }
        Scope::table("items")
    }

    async fn before_run(&self, _run: &Run, _conn: &mut Connection) -> data_drip::Result {
        if !self.in_scope {
            moments::die_if_doomed();
        }
        Ok(())
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        stamp(batch).await?;
        pass(Moment::Written).await;
        Ok(())
    }
}

/// What user code can do to the transaction that it was lent.
#[derive(OptionEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A conflict that ends the transaction; the error is swallowed.
    SwallowedConflict,
    /// The same from a trigger's `RAISE`.
    SwallowedRaise,
    /// `COMMIT`.
    Commit,
    /// `END`, which is the same.
    End,
    /// `ROLLBACK`.
    Rollback,
    /// `COMMIT`, and a new transaction.
    CommitAndBegin,
    /// `ROLLBACK`, and a new transaction.
    RollbackAndBegin,
    /// `ROLLBACK`, and a new transaction that is committed.
    RollbackAndAnother,
    /// A transaction inside of it, never ended.
    Nested,
}

/// Breaks the transaction of the batch that holds one item, writes on, and says that all is well.
#[backfill]
pub struct Saboteur {
    /// How.
    pub sabotage: Sabotage,
    /// The item.
    pub item: i64,
}

#[backfill]
impl Saboteur {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let sabotaged = holds(batch, self.item).await?;
        stamp(batch).await?;
        if sabotaged {
            self.sabotage(batch).await;
            // Whatever these say, nothing of them may stay.
            let _ = stamp(batch).await;
            let _ = execute(batch, "UPDATE items SET touched = touched + 100").await;
        }
        Ok(())
    }
}

impl Saboteur {
    async fn sabotage(&self, batch: &mut Batch<'_>) {
        let statements: &[&str] = match self.sabotage {
            Sabotage::SwallowedConflict => {
                &["INSERT INTO unique_words VALUES ('twice')", "INSERT OR ROLLBACK INTO unique_words VALUES ('twice')"]
            }
            Sabotage::SwallowedRaise => &[
                "CREATE TEMP TRIGGER refuse BEFORE INSERT ON unique_words BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
                "INSERT INTO unique_words VALUES ('refused')",
            ],
            Sabotage::Commit => &["COMMIT"],
            Sabotage::End => &["END"],
            Sabotage::Rollback => &["ROLLBACK"],
            Sabotage::CommitAndBegin => &["COMMIT; BEGIN", "BEGIN"],
            Sabotage::RollbackAndBegin => &["ROLLBACK; BEGIN"],
            Sabotage::RollbackAndAnother => &["ROLLBACK; BEGIN; INSERT INTO unique_words VALUES ('kept?'); COMMIT"],
            Sabotage::Nested => {
                if let Ok(nested) = sqlx::Connection::begin(batch.conn()).await {
                    // Dropped, it would be rolled back.
                    std::mem::forget(nested);
                }
                return;
            }
        };
        for sql in statements {
            let _ = execute(batch, sql).await;
        }
    }
}

/// Uses savepoints and nested transactions as it may: some kept, some not.
#[backfill]
pub struct Nester;

#[backfill]
impl Nester {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let undone = sqlx::Connection::begin(batch.conn()).await?;
        undone.rollback().await?;
        execute(batch, "SAVEPOINT mine; UPDATE items SET touched = touched + 100; ROLLBACK TO mine; RELEASE mine")
            .await?;
        stamp(batch).await?;
        let kept = sqlx::Connection::begin(batch.conn()).await?;
        kept.commit().await?;
        // A conflict that ends its statement only.
        execute(batch, "INSERT OR IGNORE INTO unique_words VALUES ('many times')").await?;
        let _ = execute(batch, "INSERT OR ABORT INTO unique_words VALUES ('many times')").await;
        Ok(())
    }
}

/// Ends its transaction by hand, and then fails over one item.
#[backfill]
pub struct Quitter {
    /// The item.
    pub item: i64,
}

#[backfill]
impl Quitter {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let quits = holds(batch, self.item).await?;
        stamp(batch).await?;
        if quits {
            execute(batch, "ROLLBACK").await?;
            pass(Moment::RolledBack).await;
            return Err("this item is not for me".into());
        }
        Ok(())
    }
}

/// Refers to a row that does not exist, over one item, where the database looks at the commit only.
#[backfill]
pub struct Dangling {
    /// The item.
    pub item: i64,
}

#[backfill]
impl Dangling {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let dangles = holds(batch, self.item).await?;
        stamp(batch).await?;
        if dangles {
            execute(batch, "INSERT INTO pledges VALUES (-1)").await?;
        }
        Ok(())
    }
}

/// Writes twice, and its first write takes every row out of the scope.
#[backfill]
pub struct TwoWrites {
    /// Pins the rows first, as it should.
    pub pin: bool,
}

#[backfill]
impl TwoWrites {
    fn scope(&self) -> Scope {
        Scope::table("items").filter(col("touched").eq(0))
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        if self.pin {
            batch.keys().await?;
        }
        let id = batch.info().id.0;
        batch.update_all().set_expr("touched", "touched + 1").execute().await?;
        batch.update_all().set("batch", id).execute().await?;
        enter(batch).await
    }
}
