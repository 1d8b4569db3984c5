//! One behaviour each.

use std::time::Duration;

use herd::Moment;
use herd::moments::{self, pass, pass_blocking};

use super::stamp::stamp;
use crate::database::prelude::*;
use crate::database::{NOTICE_DEADLOCKS, Row, sql};

/// What user code says to the database last: a `COMMIT` that follows is a batch's.
pub const LAST_WORDS: &str = "SELECT 'these are my last words'";

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
        sqlx::raw_sql(LAST_WORDS).execute(batch.conn()).await?;
        Ok(())
    }
}

/// An item, by all of its columns.
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
        pass_blocking(Moment::Scope);
        Scope::table("items")
    }

    async fn process_element(&self, item: Item, conn: &mut Connection, run: &Run) -> data_drip::Result {
        sqlx::query(sql("UPDATE items SET touched = touched + 1 WHERE id = ?"))
            .bind(item.id)
            .execute(&mut *conn)
            .await?;
        sqlx::query(sql("INSERT INTO ledger (run, item, worker) VALUES (?, ?, ?)"))
            .bind(run.id.0)
            .bind(item.id)
            .bind(moments::process())
            .execute(&mut *conn)
            .await?;
        pass(Moment::Written).await;
        Ok(())
    }
}

/// Appends a `!` to each word: a read that is stale would take away what the application has appended.
#[backfill]
pub struct ExclaimAll;

#[backfill]
impl ExclaimAll {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let (run, id) = (batch.run().id.0, batch.info().id.0);
        batch.update_all().set("batch", id).set_expr("word", "concat(word, '!')").execute().await?;
        sqlx::query(sql("INSERT INTO ledger (run, item, batch) SELECT ?, id, ? FROM items WHERE batch = ?"))
            .bind(run)
            .bind(id)
            .bind(id)
            .execute(batch.conn())
            .await?;
        Ok(())
    }
}

/// An item with its word.
pub struct Worded {
    id: i64,
    word: String,
}

impl<'r> sqlx::FromRow<'r, Row> for Worded {
    fn from_row(row: &'r Row) -> sqlx::Result<Self> {
        Ok(Self { id: sqlx::Row::try_get(row, "id")?, word: sqlx::Row::try_get(row, "word")? })
    }
}

/// Writes what it has read, and a `!`, some time later.
async fn exclaim(item: Worded, conn: &mut Connection, run: i64) -> sqlx::Result<()> {
    sqlx::query(sql("UPDATE items SET word = ? WHERE id = ?"))
        .bind(format!("{}!", item.word))
        .bind(item.id)
        .execute(&mut *conn)
        .await?;
    sqlx::query(sql("INSERT INTO ledger (run, item) VALUES (?, ?)")).bind(run).bind(item.id).execute(conn).await?;
    Ok(())
}

/// The same, row by row: it reads, computes, and writes.
#[backfill]
pub struct ExclaimEach;

#[backfill]
impl ExclaimEach {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_element(&self, item: Worded, conn: &mut Connection, run: &Run) -> data_drip::Result {
        exclaim(item, conn, run.id.0).await?;
        Ok(())
    }
}

/// The same, by the rows of a batch.
#[backfill]
pub struct ExclaimRows;

#[backfill]
impl ExclaimRows {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let run = batch.run().id.0;
        for item in batch.rows::<Worded>().await? {
            exclaim(item, batch.conn(), run).await?;
        }
        Ok(())
    }
}

/// Writes two rows that others write as well, in an order of its own.
#[backfill]
pub struct Transfer {
    /// Takes no notice of deadlocks.
    pub swallow: bool,
}

#[backfill]
impl Transfer {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        stamp(batch).await?;
        sqlx::raw_sql(NOTICE_DEADLOCKS).execute(batch.conn()).await?;
        for account in [1, 2] {
            let transfer = sqlx::query(sql("UPDATE accounts SET transfers = transfers + 1 WHERE id = ?"));
            match transfer.bind(account).execute(batch.conn()).await {
                Err(error) if !(self.swallow && error.to_string().contains("eadlock")) => return Err(error.into()),
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

/// Aborts its process over one item, when everything is written.
#[backfill]
pub struct Deadly {
    pub item: i64,
}

#[backfill]
impl Deadly {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let item = self.item.to_string();
        let deadly = batch.keys().await?.iter().any(|key| key.to_string() == item);
        stamp(batch).await?;
        if deadly {
            std::process::abort();
        }
        Ok(())
    }
}

/// Refuses one item, until it is mended.
#[backfill]
pub struct Picky {
    pub item: i64,
}

#[backfill]
impl Picky {
    fn scope(&self) -> Scope {
        Scope::table("items")
    }

    async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
        let item = self.item.to_string();
        let refused = batch.keys().await?.iter().any(|key| key.to_string() == item);
        stamp(batch).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mended = "SELECT word FROM unique_words WHERE word = 'mended'";
        if refused && sqlx::query(mended).fetch_optional(batch.conn()).await?.is_none() {
            return Err("this item is not for me".into());
        }
        Ok(())
    }
}
