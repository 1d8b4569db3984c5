//! What one would write without a framework: a loop over the key, one transaction per batch. No stop button, no second
//! try, no resuming, nothing written down.
//!
//! On one connection: from transaction to transaction on whichever the pool gives, as `pool.begin()` would have it, the
//! loop is slower, since each of them has to read the pages anew.

use anyhow::Result;
use sqlx::{Connection, SqliteConnection};

use crate::backfills::Employee;

/// What [`AddRole`](crate::backfills::AddRole) does; the rows updated.
pub(crate) async fn add_role(conn: &mut SqliteConnection, batch_size: i64) -> Result<u64> {
    let mut after = i64::MIN;
    let mut updated = 0;
    loop {
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
        let upto: Option<i64> = sqlx::query_scalar(
            "SELECT max(id) FROM (SELECT id FROM employees WHERE id > ? AND role IS NULL ORDER BY id LIMIT ?)",
        )
        .bind(after)
        .bind(batch_size)
        .fetch_one(&mut *tx)
        .await?;
        let Some(upto) = upto else { return Ok(updated) };
        updated += sqlx::query("UPDATE employees SET role = ? WHERE id > ? AND id <= ? AND role IS NULL")
            .bind("intern")
            .bind(after)
            .bind(upto)
            .execute(&mut *tx)
            .await?
            .rows_affected();
        tx.commit().await?;
        after = upto;
    }
}

/// What [`AddEmail`](crate::backfills::AddEmail) does; the rows updated.
pub(crate) async fn add_email(conn: &mut SqliteConnection, batch_size: i64) -> Result<u64> {
    let mut after = i64::MIN;
    let mut updated = 0;
    loop {
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
        let employees: Vec<Employee> =
            sqlx::query_as("SELECT id, name FROM employees WHERE id > ? AND email IS NULL ORDER BY id LIMIT ?")
                .bind(after)
                .bind(batch_size)
                .fetch_all(&mut *tx)
                .await?;
        let Some(last) = employees.last() else { return Ok(updated) };
        after = last.id;
        for employee in &employees {
            updated += sqlx::query("UPDATE employees SET email = ? WHERE id = ?")
                .bind(employee.address())
                .bind(employee.id)
                .execute(&mut *tx)
                .await?
                .rows_affected();
        }
        tx.commit().await?;
    }
}
