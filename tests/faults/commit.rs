//! A connection that is lost at the worst moment: the `COMMIT` was sent, and its answer has not come.

use super::backfills::StampAll;
use super::proxy::{Fate, Proxy};
use super::world::{World, shut_down};

const ITEMS: u32 = 200;
const BATCHES: i64 = 10;
/// How many commits meet a fate, one after the other or side by side.
const FATES: usize = 3;

#[tokio::test]
async fn a_commit_that_happened_and_whose_connection_was_cut_is_adopted_with_its_claim() {
    let Some(world) = meet(Fate::DoneThenCut).await else { return };
    assert_eq!((world.transients().await, world.claims().await), (0, BATCHES));
}

#[tokio::test]
async fn a_commit_that_happened_and_was_never_answered_is_adopted() {
    let Some(world) = meet(Fate::DoneThenSilent).await else { return };
    assert_eq!(world.transients().await, 0);
    // The claims that it brought were not known here for so long that they were given back for others to take.
    let fates = i64::try_from(FATES).unwrap();
    assert!((BATCHES..=BATCHES + fates).contains(&world.claims().await));
}

#[tokio::test]
async fn a_commit_that_never_arrived_and_whose_connection_was_cut_is_tried_again() {
    tried_again(Fate::LostThenCut).await;
}

#[tokio::test]
async fn a_commit_that_never_arrived_and_was_never_answered_is_tried_again() {
    tried_again(Fate::LostThenSilent).await;
}

async fn tried_again(fate: Fate) {
    let Some(world) = meet(fate).await else { return };
    let fates = i64::try_from(FATES).unwrap();
    assert_eq!(world.transients().await, fates);
    // Claims that the lost commits would have brought were never made.
    assert_eq!(world.claims().await, BATCHES + fates);
}

async fn meet(fate: Fate) -> Option<World> {
    let world = World::with_items(ITEMS).await?;
    let proxy = Proxy::to(world.database.place.port()).await;
    proxy.at_commits([fate; FATES]);
    let worker = world.worker("a").by_way_of(proxy.port).start();
    let run = world.enqueue(StampAll { linger_ms: 0, tag: 0 }, 20).await;
    proxy.struck(FATES).await;
    let batches = world.completed(run, u64::from(ITEMS)).await;
    assert!(batches.iter().all(|batch| batch.losses == 0 && batch.attempts == 0), "{batches:?}");
    shut_down([worker]).await;
    Some(world)
}

#[tokio::test]
async fn a_commit_that_arrives_when_others_have_done_its_batch_changes_nothing() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let proxy = Proxy::to(world.database.place.port()).await;
    proxy.at_commits([Fate::Late]);
    let slow = world.worker("slow").slots(1).by_way_of(proxy.port).start();
    let run = world.enqueue(StampAll { linger_ms: 0, tag: 0 }, 20).await;
    proxy.struck(1).await;
    world.completed(run, u64::from(ITEMS)).await;
    proxy.let_arrive();
    let next = world.enqueue(StampAll { linger_ms: 0, tag: 1 }, 20).await;
    world.settled(next).await;
    let twice = "SELECT count(*) FROM (SELECT item FROM ledger GROUP BY run, item HAVING count(*) > 1) AS t";
    assert_eq!(world.database.number(twice).await, 0);
    assert_eq!(world.processed().await, 2 * i64::from(ITEMS));
    shut_down([slow]).await;
}
