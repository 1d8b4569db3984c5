//! What a batch leaves behind, so that a test can tell who processed what.

use crate::database::prelude::*;
use crate::database::sql;

/// Marks the items of a batch with its number and writes them into the ledger.
pub async fn stamp(batch: &mut Batch<'_>) -> data_drip::Result {
    let (run, id) = (batch.run().id.0, batch.info().id.0);
    let worker = batch.info().worker.clone();
    batch.update_all().set("batch", id).set_expr("touched", "touched + 1").execute().await?;
    sqlx::query(sql("INSERT INTO ledger (run, item, batch, worker) SELECT ?, id, ?, ? FROM items WHERE batch = ?"))
        .bind(run)
        .bind(id)
        .bind(worker)
        .bind(id)
        .execute(batch.conn())
        .await?;
    Ok(())
}
