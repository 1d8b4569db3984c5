//! SIGSTOP past the lease, and SIGCONT.

use std::time::Duration;

use data_drip::{RunId, RunStatus};
use herd::{Child, Moment};

use super::backfills::StampAll;
use super::world::{World, shut_down};

const ITEMS: u32 = 100;
const ALL: StampAll = StampAll { linger_ms: 0, tag: 0 };
const NEXT: StampAll = StampAll { linger_ms: 0, tag: 1 };

#[tokio::test]
async fn a_worker_suspended_between_its_claim_and_its_transaction_never_begins_what_others_have_claimed() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let run = planned(&world).await;
    let sleeper = suspended_at(&world, Moment::Scope).await;
    // The other one is held at the same place: the batch is in nobody's transaction, only the fence protects it.
    world.folder.hold("other", Moment::Scope);
    let other = world.worker("other").queue("default").start();
    world.folder.reached("other", Moment::Scope).await;
    comes_back(&world, &sleeper, Moment::Scope).await;
    assert_eq!(world.database.number(OF_FIRST).await, 0, "it has left the batch alone");
    world.folder.release("other", Moment::Scope);
    let settled = world.settled(run).await;
    assert_eq!((settled.status, settled.counts.processed), (RunStatus::Completed, u64::from(ITEMS)), "{settled:?}");
    assert_eq!(world.database.number(OF_FIRST).await, i64::from(ITEMS));
    assert_eq!(world.database.number("SELECT sum(losses) FROM data_drip_backfill_run_batches").await, 1);
    shut_down([sleeper, other]).await;
}

#[tokio::test]
async fn a_worker_suspended_in_its_transaction_cannot_commit_what_others_have_done() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let run = planned(&world).await;
    let sleeper = suspended_at(&world, Moment::Written).await;
    let other = world.worker("other").queue("default").start();
    let batches = world.completed(run, u64::from(ITEMS)).await;
    assert_eq!((batches[0].losses, batches[0].attempts), (1, 0));
    shut_down([other]).await;
    comes_back(&world, &sleeper, Moment::Written).await;
    assert_eq!(world.database.number(OF_FIRST).await, i64::from(ITEMS));
    shut_down([sleeper]).await;
}

const OF_FIRST: &str = "SELECT count(*) FROM ledger WHERE run = 1";

async fn suspended_at(world: &World, moment: Moment) -> Child {
    world.folder.hold("sleeper", moment);
    let sleeper = world.worker("sleeper").slots(1).start();
    world.folder.reached("sleeper", moment).await;
    sleeper.suspend().await;
    sleeper
}

/// Wakes it, and has it do something else: whatever it was in the middle of, it is done with that.
async fn comes_back(world: &World, sleeper: &Child, moment: Moment) {
    // Its heart beats first, so that by its own clock it holds its lease again.
    let beat = "SELECT beat FROM data_drip_workers ORDER BY id LIMIT 1";
    let before = world.database.number(beat).await;
    sleeper.wake();
    herd::eventually("the sleeper beats again", async || world.database.number(beat).await > before).await;
    world.folder.release("sleeper", moment);
    // Nobody else serves this queue.
    let next = world.drip.enqueue(NEXT).batch_size(1_000).queue("aside").await.unwrap();
    assert_eq!(world.settled(next.id).await.status, RunStatus::Completed);
    assert_eq!(world.database.number("SELECT count(*) FROM ledger WHERE run = 2").await, i64::from(ITEMS));
}

/// A run of one batch, which is planned and not begun; its planner is gone. In a process that is started from now on, the first
/// call of `scope()` follows its claim.
async fn planned(world: &World) -> RunId {
    let run = world.enqueue(ALL, 1_000).await;
    world.folder.hold("planner", Moment::Written);
    let planner = world.worker("planner").grace(Duration::ZERO).start();
    world.folder.reached("planner", Moment::Written).await;
    shut_down([planner]).await;
    let pending = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'pending'";
    assert_eq!(world.database.number(pending).await, 1);
    run
}

#[tokio::test]
async fn a_planner_that_was_taken_over_while_it_was_suspended_plans_nothing() {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let run = world.enqueue(ALL, 10).await;
    let sleeper = suspended_at(&world, Moment::Scope).await;
    world.folder.hold("other", Moment::Scope);
    let other = world.worker("other").queue("default").start();
    world.folder.reached("other", Moment::Scope).await;
    comes_back(&world, &sleeper, Moment::Scope).await;
    let planned = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = 1";
    assert_eq!(world.database.number(planned).await, 0, "it has left planning to the other one");
    world.folder.release("other", Moment::Scope);
    world.settled(run).await;
    assert_eq!(world.database.number(planned).await, 10);
    assert_eq!(world.database.number(OF_FIRST).await, i64::from(ITEMS));
    shut_down([sleeper, other]).await;
}
