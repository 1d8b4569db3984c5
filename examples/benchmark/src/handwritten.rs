//! What one would write without a framework: a loop over the key, one transaction per batch. No stop button, no second
//! try, no resuming, nothing written down.
//!
//! On one connection: from transaction to transaction on whichever the pool gives, as `pool.begin()` would have it, the
//! loop is slower on SQLite, since each of them has to read the pages anew.

use anyhow::Result;
use data_drip::backend::Backend;
use data_drip::backfill::BoxFuture;
use data_drip::batch::Batch;
use sqlx::{Connection, MySql, Postgres, Sqlite};

use crate::backfills::Employee;

/// Where a loop that [keeps books](Books::Kept) writes them down.
pub(crate) const BOOKS: &str = "\
    CREATE TABLE written_batches (id bigint PRIMARY KEY, upto bigint NOT NULL, processed bigint NOT NULL);\
    CREATE TABLE written_runs (id bigint PRIMARY KEY, upto bigint NOT NULL, processed bigint NOT NULL);";

/// Whether a loop could go on where it was killed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Books {
    None,
    /// Each transaction writes a row for its batch, and how far the loop is. Nobody else has these rows.
    Kept,
}

/// The keys that one loop goes over: greater than the first, up to the second.
#[derive(Clone, Copy)]
pub(crate) struct Share(pub(crate) i64, pub(crate) i64);

impl Share {
    pub(crate) const ALL: Self = Self(i64::MIN, i64::MAX);

    /// Keys from 1 to `rows`, for so many loops side by side.
    pub(crate) fn among(workers: u64, rows: u64) -> Vec<Self> {
        let bound = |worker: u64| i64::try_from(rows * worker / workers).unwrap_or(i64::MAX);
        (0..workers).map(|worker| Self(bound(worker), bound(worker + 1))).collect()
    }
}

/// The loops on one database, and what [`AddEmail`](crate::backfills::AddEmail) does there.
pub(crate) trait Loops: Backend {
    /// What [`AddRole`](crate::backfills::AddRole) does; the rows updated.
    fn add_role(conn: &mut Self::Connection, share: Share, batch_size: i64, books: Books)
    -> BoxFuture<'_, Result<u64>>;
    /// What [`AddEmail`](crate::backfills::AddEmail) does; the rows updated.
    fn add_email(conn: &mut Self::Connection, share: Share, batch_size: i64) -> BoxFuture<'_, Result<u64>>;
    /// The employees of a batch.
    fn employees<'b>(batch: &'b mut Batch<'_, Self>) -> BoxFuture<'b, Result<Vec<Employee>, data_drip::Error>>;
    /// Writes one address.
    fn write_address<'c>(conn: &'c mut Self::Connection, employee: &'c Employee) -> BoxFuture<'c, sqlx::Result<u64>>;
}

macro_rules! loops {
    ($db:ty, begin: $begin:literal, upto: $upto:literal, update: $update:literal, row: $row:literal, reached: $reached:literal,
     page: $page:literal, address: $address:literal) => {
        impl Loops for $db {
            fn add_role(
                conn: &mut Self::Connection,
                share: Share,
                batch_size: i64,
                books: Books,
            ) -> BoxFuture<'_, Result<u64>> {
                Box::pin(async move {
                    let Share(mut after, last) = share;
                    if books == Books::Kept {
                        let (id, upto, processed) = (last, after, 0_i64);
                        let row = str::replace($row, "written_batches", "written_runs");
                        let insert = sqlx::query(sqlx::AssertSqlSafe(row)).bind(id).bind(upto).bind(processed);
                        insert.execute(&mut *conn).await?;
                    }
                    let mut updated = 0;
                    loop {
                        let mut tx = conn.begin_with($begin).await?;
                        let upto: Option<i64> = sqlx::query_scalar($upto)
                            .bind(after)
                            .bind(last)
                            .bind(batch_size)
                            .fetch_one(&mut *tx)
                            .await?;
                        let Some(upto) = upto else { return Ok(updated) };
                        let update = sqlx::query($update).bind("intern").bind(after).bind(upto);
                        let processed = update.execute(&mut *tx).await?.rows_affected();
                        if books == Books::Kept {
                            let rows = i64::try_from(processed)?;
                            sqlx::query($row).bind(upto).bind(upto).bind(rows).execute(&mut *tx).await?;
                            sqlx::query($reached).bind(upto).bind(rows).bind(last).execute(&mut *tx).await?;
                        }
                        tx.commit().await?;
                        updated += processed;
                        after = upto;
                    }
                })
            }

            fn add_email(conn: &mut Self::Connection, share: Share, batch_size: i64) -> BoxFuture<'_, Result<u64>> {
                Box::pin(async move {
                    let Share(mut after, last) = share;
                    let mut updated = 0;
                    loop {
                        let mut tx = conn.begin_with($begin).await?;
                        let employees: Vec<Employee> =
                            sqlx::query_as($page).bind(after).bind(last).bind(batch_size).fetch_all(&mut *tx).await?;
                        let Some(last) = employees.last() else { return Ok(updated) };
                        after = last.id;
                        for employee in &employees {
                            let update = sqlx::query($address).bind(employee.address()).bind(employee.id);
                            updated += update.execute(&mut *tx).await?.rows_affected();
                        }
                        tx.commit().await?;
                    }
                })
            }

            fn employees<'b>(batch: &'b mut Batch<'_, Self>) -> BoxFuture<'b, Result<Vec<Employee>, data_drip::Error>> {
                Box::pin(batch.rows())
            }

            fn write_address<'c>(
                conn: &'c mut Self::Connection,
                employee: &'c Employee,
            ) -> BoxFuture<'c, sqlx::Result<u64>> {
                Box::pin(async move {
                    let update = sqlx::query($address).bind(employee.address()).bind(employee.id);
                    Ok(update.execute(conn).await?.rows_affected())
                })
            }
        }
    };
}

loops! {
    Sqlite,
    begin: "BEGIN IMMEDIATE",
    upto: "SELECT max(id) FROM (SELECT id FROM employees WHERE id > ? AND id <= ? AND role IS NULL ORDER BY id LIMIT ?)",
    update: "UPDATE employees SET role = ? WHERE id > ? AND id <= ? AND role IS NULL",
    row: "INSERT INTO written_batches (id, upto, processed) VALUES (?, ?, ?)",
    reached: "UPDATE written_runs SET upto = ?, processed = processed + ? WHERE id = ?",
    page: "SELECT id, name FROM employees WHERE id > ? AND id <= ? AND email IS NULL ORDER BY id LIMIT ?",
    address: "UPDATE employees SET email = ? WHERE id = ?"
}

loops! {
    Postgres,
    begin: "BEGIN",
    upto: "SELECT max(id) FROM (SELECT id FROM employees WHERE id > $1 AND id <= $2 AND role IS NULL ORDER BY id LIMIT $3) AS n",
    update: "UPDATE employees SET role = $1 WHERE id > $2 AND id <= $3 AND role IS NULL",
    row: "INSERT INTO written_batches (id, upto, processed) VALUES ($1, $2, $3)",
    reached: "UPDATE written_runs SET upto = $1, processed = processed + $2 WHERE id = $3",
    page: "SELECT id, name FROM employees WHERE id > $1 AND id <= $2 AND email IS NULL ORDER BY id LIMIT $3",
    address: "UPDATE employees SET email = $1 WHERE id = $2"
}

loops! {
    MySql,
    begin: "START TRANSACTION",
    upto: "SELECT max(id) FROM (SELECT id FROM employees WHERE id > ? AND id <= ? AND role IS NULL ORDER BY id LIMIT ?) AS n",
    update: "UPDATE employees SET role = ? WHERE id > ? AND id <= ? AND role IS NULL",
    row: "INSERT INTO written_batches (id, upto, processed) VALUES (?, ?, ?)",
    reached: "UPDATE written_runs SET upto = ?, processed = processed + ? WHERE id = ?",
    page: "SELECT id, name FROM employees WHERE id > ? AND id <= ? AND email IS NULL ORDER BY id LIMIT ?",
    address: "UPDATE employees SET email = ? WHERE id = ?"
}
