//! The proof: what the ledger says against what the engine says.

use std::collections::{BTreeMap, HashMap};

use data_drip::key::Key;
use data_drip::{BatchStatus, RunBatch, RunId};

use crate::database::prelude::DataDrip;
use crate::database::{Database, sql};

/// Mistakes shown; one cause makes many.
const SHOWN: usize = 20;

/// Checks a run over `items`: its batches overlap nowhere and, once it is planned, leave nothing out; every item of a
/// completed batch was processed once and by that batch, every other item never; all counts are what the ledger says;
/// nothing is left in anybody's hands. Gives back the batches.
pub async fn audit(database: &Database, drip: &DataDrip, id: RunId) -> Vec<RunBatch> {
    let batches = drip.batches(id).limit(u32::MAX).await.unwrap();
    let run = drip.run(id).await.unwrap();
    let items: BTreeMap<i64, i32> =
        sqlx::query_as("SELECT id, touched FROM items").fetch_all(&database.pool).await.unwrap().into_iter().collect();
    let mut ledger = ledger(database, id).await;
    let mut wrong = Vec::new();
    let mut covered = 0;
    for batch in &batches {
        let number = |key: &Key| key.to_string().parse::<i64>().unwrap();
        let after = batch.range.after.as_ref().map_or(0, number);
        let own: Vec<_> = items.range(after + 1..=number(&batch.range.upto)).collect();
        covered += own.len();
        let completed = batch.status == BatchStatus::Completed;
        for &(item, touched) in &own {
            let entries = ledger.remove(item).unwrap_or_default();
            let strange = entries.iter().flatten().any(|&by| by != batch.id.0);
            if strange || entries.len() != usize::from(completed) || *touched != i32::from(completed) {
                wrong.push(format!("item {item} of batch {}, {}: {entries:?}, {touched}", batch.id, batch.status));
            }
        }
        if batch.processed != completed.then_some(own.len() as u64) {
            wrong.push(format!("batch {} has {} items and counts {:?}", batch.id, own.len(), batch.processed));
        }
        if batch.status == BatchStatus::Running {
            wrong.push(format!("batch {} is left in the hands of {:?}", batch.id, batch.worker));
        }
    }
    if run.planned && covered != items.len() {
        wrong.push(format!("{} items, {covered} of them in batches", items.len()));
    }
    if !ledger.is_empty() {
        wrong.push(format!("the ledger has items of no batch: {ledger:?}"));
    }
    let processed: u64 = batches.iter().filter_map(|batch| batch.processed).sum();
    if run.counts.processed != processed || run.counts.batches != batches.len() as u64 {
        wrong.push(format!("{} batches processed {processed}", batches.len()));
    }
    let shown: Vec<_> = wrong.iter().take(SHOWN).collect();
    assert!(wrong.is_empty(), "{} mistakes in {run:?}: {shown:#?}", wrong.len());
    batches
}

/// Which batches processed an item; of processing row by row only that it happened is known.
async fn ledger(database: &Database, run: RunId) -> HashMap<i64, Vec<Option<i64>>> {
    let rows: Vec<(i64, Option<i64>)> = sqlx::query_as(sql("SELECT item, batch FROM ledger WHERE run = ?"))
        .bind(run.0)
        .fetch_all(&database.pool)
        .await
        .unwrap();
    let mut ledger = HashMap::<_, Vec<_>>::new();
    for (item, batch) in rows {
        ledger.entry(item).or_default().push(batch);
    }
    ledger
}
