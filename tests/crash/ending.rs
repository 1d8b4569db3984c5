//! Processes that are asked to end.

use std::time::Duration;

use data_drip::RunStatus;
use zoo::backfills::StampAll;
use zoo::{Habitat, Journal, Leave, Moment};

use crate::{herd, losses, pending, random, shut_down};

/// Longer than any test waits: what is not given back is missed.
const FOR_EVER: Duration = Duration::from_mins(10);

const STAMP: StampAll = StampAll { linger_ms: 0, tag: 0 };

/// Nothing is in anybody's hands any more.
async fn nothing_is_held(habitat: &Habitat) {
    for query in [
        "SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'",
        "SELECT count(planner) FROM data_drip_backfill_runs",
        "SELECT count(*) FROM data_drip_workers",
    ] {
        assert_eq!(habitat.number(query).await, 0, "{query}");
    }
}

/// Another process finishes the run, without waiting for a lease to run out.
async fn the_next_one_goes_on(habitat: &Habitat, run: data_drip::RunId) {
    let next = habitat.child("next").lease(FOR_EVER).start();
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    habitat.audit(run).await;
    assert_eq!(losses(habitat).await, 0);
    shut_down(vec![next]).await;
    nothing_is_held(habitat).await;
}

#[tokio::test]
async fn a_shutdown_lets_the_batch_in_flight_finish_and_count() {
    let habitat = Habitat::with_items(2_000, Journal::WriteAhead).await;
    let run = habitat.enqueue(STAMP, 50).await.id;
    habitat.hold("first", Moment::Written);
    let first = habitat.child("first").lease(FOR_EVER).start();
    habitat.reached("first", Moment::Written).await;
    first.ask_to_end();
    habitat.reached("first", Moment::Asked).await;
    habitat.release("first", Moment::Written);
    shut_down(vec![first]).await;

    assert_eq!(habitat.processed().await, 50, "the batch in flight, and no other");
    nothing_is_held(&habitat).await;
    the_next_one_goes_on(&habitat, run).await;
}

#[tokio::test]
async fn a_shutdown_rolls_back_what_does_not_finish_in_time() {
    let habitat = Habitat::with_items(2_000, Journal::WriteAhead).await;
    let run = habitat.enqueue(STAMP, 50).await.id;
    habitat.hold("first", Moment::Written);
    let first = habitat.child("first").lease(FOR_EVER).grace(Duration::from_millis(100)).start();
    habitat.reached("first", Moment::Written).await;
    shut_down(vec![first]).await;

    assert_eq!(habitat.processed().await, 0);
    nothing_is_held(&habitat).await;
    the_next_one_goes_on(&habitat, run).await;
}

#[tokio::test]
async fn dropping_the_worker_rolls_back_what_is_in_flight_and_gives_it_back() {
    let habitat = Habitat::with_items(2_000, Journal::WriteAhead).await;
    let run = habitat.enqueue(STAMP, 600).await.id;
    habitat.hold("first", Moment::Written);
    let first = habitat.child("first").lease(FOR_EVER).leave(Leave::Drop).start();
    habitat.reached("first", Moment::Written).await;
    first.ask_to_end();
    // While the process lives on.
    habitat.becomes("SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'running'", 0).await;
    habitat.becomes("SELECT count(planner) FROM data_drip_backfill_runs", 0).await;
    assert_eq!(pending(&habitat).await, 4);
    assert_eq!(habitat.processed().await, 0);

    let next = habitat.child("next").lease(FOR_EVER).start();
    assert_eq!(habitat.settled(run).await.status, RunStatus::Completed);
    habitat.audit(run).await;
    assert_eq!(losses(&habitat).await, 0);
    assert_eq!(habitat.number("SELECT count(*) FROM ledger WHERE process = 'first'").await, 0);
    shut_down(vec![next]).await;
    first.kill();
}

#[tokio::test]
async fn deploys_at_random_moments_lose_nothing_and_wait_for_nothing() {
    let mut random = random();
    let habitat = Habitat::with_items(10_000, Journal::WriteAhead).await;
    let run = habitat.enqueue(StampAll { linger_ms: 10, tag: 0 }, 50).await.id;
    let orders = |child: zoo::Orders| child.lease(FOR_EVER);
    let mut herd = herd(&habitat, 2, orders);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(random.u64(..200))).await;
        let name = random.choice(['a', 'b']).unwrap();
        let old = herd.iter().position(|child| child.name() == name.to_string()).unwrap();
        habitat.reached(herd[old].name(), Moment::Started).await;
        let old = std::mem::replace(&mut herd[old], orders(habitat.child(name)).start());
        shut_down(vec![old]).await;
    }
    let run = habitat.settled(run).await;
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    habitat.audit(run.id).await;
    assert_eq!(losses(&habitat).await, 0);
    shut_down(herd).await;
    nothing_is_held(&habitat).await;
}
