//! SIGSTOP past the lease, and SIGCONT.

use data_drip::RunStatus;
use zoo::backfills::StampAll;
use zoo::{Child, Habitat, Journal, Moment};

use crate::{all_leases_run_out, claimed_and_not_begun, losses, planned, shut_down, two_wait_for_a_third};

/// Wakes a process that was suspended at [`Moment::Scope`], and lets it do something else: whatever it was in the middle
/// of, it is done with that.
async fn wakes_and_goes_on(habitat: &Habitat, sleeper: &Child, items: i64) {
    // Its heart beats first, so that by its own clock it holds its lease again.
    let beat = "SELECT beat FROM data_drip_workers ORDER BY id LIMIT 1";
    let before = habitat.number(beat).await;
    sleeper.wake();
    zoo::eventually("the sleeper beats again", async || habitat.number(beat).await > before).await;
    habitat.release(sleeper.name(), Moment::Scope);
    // Nobody else serves this queue.
    let next = habitat.drip().await.enqueue(NEXT).queue("aside").await.unwrap();
    assert_eq!(habitat.settled(next.id).await.status, RunStatus::Completed);
    assert_eq!(habitat.number("SELECT count(*) FROM ledger WHERE run = 2 AND process = 'sleeper'").await, items);
}

const NEXT: StampAll = StampAll { linger_ms: 0, tag: 1 };

#[tokio::test]
async fn promise_2_a_claim_that_was_taken_over_while_its_process_was_suspended_never_begins() {
    let habitat = Habitat::with_items(500, Journal::WriteAhead).await;
    let run = planned(&habitat, 1, 1_000).await;
    let sleeper = claimed_and_not_begun(&habitat, "sleeper").await;
    let epoch = "SELECT epoch FROM data_drip_backfill_run_batches WHERE run_id = 1";
    let claimed = habitat.number(epoch).await;
    sleeper.suspend().await;

    // The other one is held at the same place: the batch is in nobody's transaction, only the fence protects it.
    habitat.hold("other", Moment::Scope);
    let other = habitat.child("other").queue("default").start();
    habitat.reached("other", Moment::Scope).await;
    assert_eq!(habitat.number(epoch).await, claimed + 1);

    wakes_and_goes_on(&habitat, &sleeper, 500).await;
    assert_eq!(habitat.number("SELECT count(*) FROM ledger WHERE run = 1").await, 0, "it has left the batch alone");

    habitat.release("other", Moment::Scope);
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    assert_eq!(habitat.audit(run).await[0].losses, 1);
    assert_eq!(habitat.number("SELECT count(*) FROM ledger WHERE run = 1 AND process = 'other'").await, 500);
    shut_down(vec![sleeper, other]).await;
}

#[tokio::test]
async fn promise_2_a_claim_that_was_finished_while_its_process_was_suspended_is_not_done_again() {
    let habitat = Habitat::with_items(500, Journal::WriteAhead).await;
    let run = planned(&habitat, 1, 1_000).await;
    let sleeper = claimed_and_not_begun(&habitat, "sleeper").await;
    sleeper.suspend().await;
    let other = habitat.child("other").start();
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    shut_down(vec![other]).await;

    // It goes on in the very moment in which it wakes up.
    habitat.release("sleeper", Moment::Scope);
    sleeper.wake();
    let next = habitat.enqueue(NEXT, 1_000).await.id;
    assert_eq!(habitat.settled(next).await.status, RunStatus::Completed);
    assert_eq!(habitat.number("SELECT count(*) FROM ledger WHERE run = 1 AND process = 'other'").await, 500);
    assert_eq!(habitat.number("SELECT count(*) FROM ledger WHERE run = 2 AND process = 'sleeper'").await, 500);
    let batches = habitat.audit(run).await;
    assert_eq!((batches[0].losses, batches[0].attempts), (1, 0));
    shut_down(vec![sleeper]).await;
}

#[tokio::test]
async fn promise_2_a_process_suspended_in_its_transaction_commits_once_and_costs_nobody_a_claim() {
    let habitat = Habitat::with_items(200, Journal::WriteAhead).await;
    let run = planned(&habitat, 4, 60).await;
    let (waiting, sleeper) = two_wait_for_a_third(&habitat, "sleeper").await;
    sleeper.suspend().await;
    // Nothing holds it any more but that it is suspended.
    habitat.release("sleeper", Moment::Written);
    all_leases_run_out(&habitat).await;
    assert_eq!(habitat.processed().await, 0, "the write lock is the sleeper's");

    sleeper.wake();
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    habitat.audit(run).await;
    assert_eq!(habitat.number("SELECT process = 'sleeper' FROM ledger WHERE seq = 1").await, 1);
    assert_eq!(losses(&habitat).await, 0);
    shut_down(waiting).await;
    shut_down(vec![sleeper]).await;
}

#[tokio::test]
async fn promise_2_a_planner_that_was_taken_over_while_it_was_suspended_plans_nothing() {
    let habitat = Habitat::with_items(500, Journal::WriteAhead).await;
    let run = habitat.enqueue(StampAll { linger_ms: 0, tag: 0 }, 50).await.id;
    habitat.hold("sleeper", Moment::Scope);
    let sleeper = habitat.child("sleeper").start();
    habitat.reached("sleeper", Moment::Scope).await;
    let epoch = "SELECT planner_epoch FROM data_drip_backfill_runs WHERE id = 1 AND planner IS NOT NULL";
    let taken = habitat.number(epoch).await;
    sleeper.suspend().await;
    habitat.hold("other", Moment::Scope);
    let other = habitat.child("other").queue("default").start();
    habitat.reached("other", Moment::Scope).await;
    assert!(habitat.number(epoch).await > taken);

    wakes_and_goes_on(&habitat, &sleeper, 500).await;
    let planned = "SELECT count(*) FROM data_drip_backfill_run_batches WHERE run_id = 1";
    assert_eq!(habitat.number(planned).await, 0, "it has left planning to the other one");

    habitat.release("other", Moment::Scope);
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    habitat.audit(run).await;
    assert_eq!(losses(&habitat).await, 0);
    shut_down(vec![sleeper, other]).await;
}
