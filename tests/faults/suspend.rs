//! SIGSTOP past the lease, and SIGCONT.

use std::time::Duration;

use data_drip::RunId;
use herd::{Child, Moment};

use super::backfills::StampAll;
use super::world::{World, shut_down};

const ITEMS: u32 = 100;
const ALL: StampAll = StampAll { linger_ms: 0, tag: 0 };
const NEXT: StampAll = StampAll { linger_ms: 0, tag: 1 };

#[tokio::test]
async fn a_worker_suspended_between_its_claim_and_its_transaction_never_begins_what_others_have_done() {
    suspended_at(Moment::Scope).await;
}

#[tokio::test]
async fn a_worker_suspended_in_its_transaction_cannot_commit_what_others_have_done() {
    suspended_at(Moment::Written).await;
}

async fn suspended_at(moment: Moment) {
    let Some(world) = World::with_items(ITEMS).await else { return };
    let run = planned(&world).await;
    world.folder.hold("sleeper", moment);
    let sleeper = world.worker("sleeper").slots(1).start();
    world.folder.reached("sleeper", moment).await;
    sleeper.suspend().await;
    // Nothing holds it any more but that it is suspended.
    world.folder.release("sleeper", moment);
    let other = world.worker("other").start();
    let batches = world.completed(run, u64::from(ITEMS)).await;
    assert_eq!((batches[0].losses, batches[0].attempts), (1, 0));
    shut_down([other]).await;
    comes_back(&world, &sleeper).await;
    let sleepers =
        "SELECT count(*) FROM ledger WHERE run = 1 AND worker = (SELECT max(worker) FROM ledger WHERE run = 2)";
    assert_eq!(world.database.number(sleepers).await, 0, "all of it was the other one's");
    shut_down([sleeper]).await;
}

/// Wakes it, and has it do something else: whatever it was in the middle of, it is done with that.
async fn comes_back(world: &World, sleeper: &Child) {
    sleeper.wake();
    let next = world.enqueue(NEXT, 1_000).await;
    world.settled(next).await;
    assert_eq!(world.database.number("SELECT count(*) FROM ledger WHERE run = 1").await, i64::from(ITEMS));
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
    world.folder.hold("sleeper", Moment::Scope);
    let sleeper = world.worker("sleeper").start();
    world.folder.reached("sleeper", Moment::Scope).await;
    sleeper.suspend().await;
    world.folder.release("sleeper", Moment::Scope);
    let other = world.worker("other").start();
    world.completed(run, u64::from(ITEMS)).await;
    shut_down([other]).await;
    comes_back(&world, &sleeper).await;
    let planned = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = 1";
    assert_eq!(world.database.number(planned).await, 10, "planned once");
    shut_down([sleeper]).await;
}
