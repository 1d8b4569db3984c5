//! Processes that are killed, suspended, stopped and started while they execute backfills on one SQLite file: whatever
//! happens to them, every row is processed exactly once, and a dead worker costs seconds.
//!
//! The processes are this binary, started again at [`child_process`]. What is random is drawn from a seed that each test
//! prints; `CRASH_SEED` sets it.

#![cfg(all(unix, feature = "sqlite"))]

mod chaos;
mod crowd;
mod deadly;
mod ending;
mod kill;
mod start;
mod steer;
mod suspend;

use std::time::Duration;

use data_drip::RunId;
use zoo::backfills::StampAll;
use zoo::{Child, Habitat, Moment};

#[test]
#[ignore = "the entrance of child processes: by itself it does nothing"]
fn child_process() {
    zoo::serve();
}

/// Randomness that can be had again.
fn random() -> fastrand::Rng {
    let seed = match std::env::var("CRASH_SEED") {
        Ok(seed) => seed.parse().expect("CRASH_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("CRASH_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// So many processes, named by letters.
fn herd(habitat: &Habitat, processes: usize, orders: impl Fn(zoo::Orders) -> zoo::Orders) -> Vec<Child> {
    ('a'..).take(processes).map(|name| orders(habitat.child(name)).start()).collect()
}

/// Shuts them all down, and checks that they end in good order.
async fn shut_down(herd: Vec<Child>) {
    herd.iter().for_each(Child::ask_to_end);
    for child in herd {
        let name = child.name().to_owned();
        let status = child.ended().await;
        assert!(status.success(), "{name} ended with {status}");
    }
}

/// Claims that were taken over from workers that seemed dead, over all runs.
async fn losses(habitat: &Habitat) -> i64 {
    habitat.number("SELECT sum(losses) FROM data_drip_backfill_run_batches").await
}

/// A run that is planned to its end and not begun; its planner is gone. In processes started from now on, the first call
/// of `scope()` follows a claim: [`Moment::Scope`].
async fn planned(habitat: &Habitat, batches: i64, batch_size: u64) -> RunId {
    let run = habitat.enqueue(StampAll { linger_ms: 0, tag: 0 }, batch_size).await.id;
    habitat.hold("planner", Moment::Written);
    // The first step of a plan is committed before a batch can begin, and has room for all of these.
    let planner = habitat.child("planner").grace(Duration::ZERO).start();
    habitat.reached("planner", Moment::Written).await;
    shut_down(vec![planner]).await;
    assert_eq!(habitat.number("SELECT planned FROM data_drip_backfill_runs").await, 1);
    assert_eq!(habitat.number("SELECT count(*) FROM data_drip_backfill_run_batches").await, batches);
    assert_eq!(pending(habitat).await, batches);
    run
}

/// A process that has claimed a batch, committed the claim, and is held before it begins the batch's transaction.
async fn claimed_and_not_begun(habitat: &Habitat, name: &str) -> Child {
    let pending = pending(habitat).await;
    habitat.hold(name, Moment::Scope);
    let child = habitat.child(name).start();
    habitat.reached(name, Moment::Scope).await;
    assert_eq!(self::pending(habitat).await, pending - 1);
    // The write lock is free.
    habitat.run("BEGIN IMMEDIATE; ROLLBACK").await;
    child
}

/// Two processes have claimed a batch and wait for the write lock; the third holds it, in its own batch's transaction,
/// until it is released at [`Moment::Written`].
async fn two_wait_for_a_third(habitat: &Habitat, third: &str) -> (Vec<Child>, Child) {
    let waiting = vec![claimed_and_not_begun(habitat, "a").await, claimed_and_not_begun(habitat, "b").await];
    habitat.hold(third, Moment::Written);
    let busy = habitat.child(third).start();
    habitat.reached(third, Moment::Written).await;
    habitat.release("a", Moment::Scope);
    habitat.release("b", Moment::Scope);
    (waiting, busy)
}

async fn pending(habitat: &Habitat) -> i64 {
    habitat.number("SELECT count(*) FROM data_drip_backfill_run_batches WHERE status = 'pending'").await
}

/// Waits until the leases of all workers have run out, by the database's clock, and long ago.
async fn all_leases_run_out(habitat: &Habitat) {
    let alive = "SELECT count(*) FROM data_drip_workers WHERE expires_at + 2000 > unixepoch('subsec') * 1000";
    habitat.becomes(alive, 0).await;
}
