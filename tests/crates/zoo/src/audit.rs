//! The proof: what the ledger says against what the engine says.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use data_drip::key::Key;
use data_drip::{BatchStatus, RunBatch, RunId};

use crate::Habitat;

/// Mistakes shown; one cause makes many.
const SHOWN: usize = 20;

impl Habitat {
    /// Checks a run over `items`: its batches overlap nowhere and, once it is planned, leave nothing out; every item of
    /// a completed batch was processed once and by that batch, every other item never; all counts are what the ledger
    /// says; nothing is left in anybody's hands. Gives back the batches.
    ///
    /// # Panics
    /// When anything of that is not so.
    pub async fn audit(&self, id: RunId) -> Vec<RunBatch> {
        let drip = self.drip().await;
        let batches = drip.batches(id).limit(u32::MAX).await.expect("batches can be read");
        let run = drip.run(id).await.expect("the run is there");
        let items = self.items().await;
        let mut ledger = self.ledger(id).await;

        let mut wrong = Vec::new();
        let mut covered = HashSet::new();
        for batch in &batches {
            let own: Vec<i64> = items.range(bounds(batch)).copied().collect();
            let completed = batch.status == BatchStatus::Completed;
            for &item in &own {
                if !covered.insert(item) {
                    wrong.push(format!("item {item} is in two batches, the later is {}", batch.id));
                }
                let entries = ledger.remove(&item).unwrap_or_default();
                let strange = entries.iter().flatten().any(|&by| by != batch.id.0);
                if strange || entries.len() != usize::from(completed) {
                    wrong.push(format!("item {item} of batch {}, {}: {entries:?}", batch.id, batch.status));
                }
            }
            if batch.processed != completed.then_some(own.len() as u64) {
                wrong.push(format!("batch {} has {} items and counts {:?}", batch.id, own.len(), batch.processed));
            }
            if batch.status == BatchStatus::Running {
                wrong.push(format!("batch {} is left in the hands of {:?}", batch.id, batch.worker));
            }
        }
        if run.planned && covered.len() != items.len() {
            wrong.push(format!("{} items, {} of them in batches", items.len(), covered.len()));
        }
        if !ledger.is_empty() {
            wrong.push(format!("the ledger has items of no batch: {ledger:?}"));
        }
        let processed: u64 = batches.iter().filter_map(|batch| batch.processed).sum();
        if run.counts.processed != processed || run.counts.batches != batches.len() as u64 {
            wrong.push(format!("{} batches processed {processed}", batches.len()));
        }
        let torn = "SELECT count(*) FROM items i WHERE touched <> (SELECT count(*) FROM ledger WHERE item = i.id)";
        if self.number(torn).await != 0 {
            wrong.push("items and the ledger do not tell the same story".to_owned());
        }
        let shown: Vec<_> = wrong.iter().take(SHOWN).collect();
        assert!(wrong.is_empty(), "{} mistakes in {run:?}: {shown:#?}", wrong.len());
        // Whoever settled the run may be about to give the role back.
        self.becomes(&format!("SELECT count(planner) FROM data_drip_backfill_runs WHERE id = {id}"), 0).await;
        batches
    }

    async fn items(&self) -> BTreeSet<i64> {
        let ids = sqlx::query_scalar("SELECT id FROM items").fetch_all(self.pool()).await;
        ids.expect("items can be read").into_iter().collect()
    }

    /// Which batches processed an item; of processing row by row only that it happened is known.
    async fn ledger(&self, run: RunId) -> HashMap<i64, Vec<Option<i64>>> {
        let rows: Vec<(i64, Option<i64>)> = sqlx::query_as("SELECT item, batch FROM ledger WHERE run = ?")
            .bind(run.0)
            .fetch_all(self.pool())
            .await
            .expect("the ledger can be read");
        let mut ledger = HashMap::<_, Vec<_>>::new();
        for (item, batch) in rows {
            ledger.entry(item).or_default().push(batch);
        }
        ledger
    }
}

fn bounds(batch: &RunBatch) -> (Bound<i64>, Bound<i64>) {
    let number = |key: &Key| key.to_string().parse::<i64>().expect("items have numbers");
    let after = batch.range.after.as_ref().map_or(Bound::Unbounded, |after| Bound::Excluded(number(after)));
    (after, Bound::Included(number(&batch.range.upto)))
}
