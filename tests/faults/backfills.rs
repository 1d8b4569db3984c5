//! One behaviour each.

use std::time::Duration;

use herd::Moment;
use herd::moments::{self, pass, pass_blocking};

use super::stamp::stamp;
use crate::database::prelude::*;
use crate::database::{Row, sql};

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
