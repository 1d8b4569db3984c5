//! A batch that kills whoever runs it, among many that do not.

use std::time::Duration;

use data_drip::{BatchStatus, RunStatus};

use super::backfills::Deadly;
use super::world::{World, shut_down};

const ITEMS: u32 = 2_000;
/// The first death makes the batch suspect; then it runs alone, and is given up after three of those.
const DEATHS: usize = 4;
/// A process that is only slow must not be taken for dead: that would be one more of those.
const LEASE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_batch_that_aborts_its_process_is_given_up_among_sixteen_slots_and_its_neighbours_are_done() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let run = world.enqueue(Deadly { item: 3 * 777 }, 20).await;
    let orders = |name: &str| world.worker(name).slots(4).lease(LEASE);
    let mut herd: Vec<_> = ["a", "b", "c", "d"].map(|name| orders(name).start()).into();
    let mut deaths = 0;
    herd::eventually("the run is settled", async || {
        for child in &mut herd {
            if let Some(status) = child.outcome() {
                assert!(!status.success(), "nobody has asked it to end");
                deaths += 1;
                *child = orders(child.name()).start();
            }
        }
        world.drip.run(run).await.unwrap().status.is_settled()
    })
    .await;
    let settled = world.settled(run).await;
    shut_down(herd).await;
    assert_eq!(deaths, DEATHS, "each of them a restart of the host");
    assert_eq!(settled.status, RunStatus::Failed, "{settled:?}");
    assert_eq!((settled.counts.failed, settled.counts.processed), (1, u64::from(ITEMS) - 20));
    let batches = world.audit(run).await;
    let (deadly, innocent): (Vec<_>, Vec<_>) = batches.iter().partition(|batch| batch.status == BatchStatus::Failed);
    assert_eq!((deadly[0].losses, deadly[0].attempts), (4, 0));
    let error = deadly[0].error.as_deref().unwrap();
    assert!(error.contains("3 processes died while they ran this batch alone"), "{error}");
    assert!(innocent.iter().all(|batch| batch.status == BatchStatus::Completed && batch.error.is_none()));
}
