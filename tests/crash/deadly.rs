//! A batch that kills whoever runs it.

use data_drip::{BatchStatus, RunStatus};
use zoo::backfills::Deadly;
use zoo::{Habitat, Journal};

use crate::herd;

/// The first death makes the batch suspect; then it runs alone, and is given up after three of those.
const DEATHS: usize = 4;

#[tokio::test]
async fn promise_8_a_batch_that_aborts_its_process_is_given_up_and_its_neighbours_are_done() {
    survive(1).await;
}

#[tokio::test]
async fn promise_8_a_batch_that_aborts_its_process_is_given_up_by_a_herd_and_its_neighbours_are_done() {
    survive(3).await;
}

/// Starts a process again whenever one has died, until the run is settled.
async fn survive(processes: usize) {
    let habitat = Habitat::with_items(2_000, Journal::WriteAhead).await;
    let run = habitat.enqueue(Deadly { item: 3 * 777 }, 50).await.id;
    let drip = habitat.drip().await;
    let mut herd = herd(&habitat, processes, |child| child);
    let mut deaths = 0;
    zoo::eventually("the host survives the batch", async || {
        for child in &mut herd {
            if let Some(status) = child.outcome() {
                assert!(!status.success(), "nobody has asked it to end");
                deaths += 1;
                *child = habitat.child(child.name()).start();
            }
        }
        drip.run(run).await.unwrap().status.is_settled()
    })
    .await;
    crate::shut_down(herd).await;

    assert_eq!(deaths, DEATHS, "each of them a restart of the host");
    let run = drip.run(run).await.unwrap();
    assert_eq!(run.status, RunStatus::Failed, "{run:?}");
    assert_eq!((run.counts.failed, run.counts.processed), (1, 1_950));
    let batches = habitat.audit(run.id).await;
    let (deadly, innocent): (Vec<_>, Vec<_>) = batches.iter().partition(|batch| batch.status == BatchStatus::Failed);
    assert_eq!(deadly.len(), 1);
    assert_eq!((deadly[0].losses, deadly[0].attempts), (4, 0));
    let error = deadly[0].error.as_deref().unwrap();
    assert!(error.contains("3 processes died while they ran this batch alone"), "{error}");
    assert!(innocent.iter().all(|batch| batch.status == BatchStatus::Completed && batch.error.is_none()));
}
