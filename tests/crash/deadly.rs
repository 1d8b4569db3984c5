//! A batch that kills whoever runs it.

use std::time::Duration;

use data_drip::{BatchStatus, RunId, RunStatus};
use zoo::backfills::{Deadly, Doomed, StampAll};
use zoo::{Child, Habitat, Journal, Moment};

use crate::{herd, shut_down};

const LEASE: Duration = Duration::from_millis(500);

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

/// Starts a process again whenever one has died, until the runs are settled; how many have died.
async fn restarted(habitat: &Habitat, herd: &mut [Child], runs: &[RunId]) -> usize {
    let drip = habitat.drip().await;
    let mut deaths = 0;
    zoo::eventually("the host survives", async || {
        for child in &mut *herd {
            if let Some(status) = child.outcome() {
                assert!(!status.success(), "nobody has asked it to end");
                deaths += 1;
                *child = habitat.child(child.name()).lease(LEASE).start();
            }
        }
        for run in runs {
            if !drip.run(*run).await.unwrap().status.is_settled() {
                return false;
            }
        }
        true
    })
    .await;
    deaths
}

async fn survive(processes: usize) {
    let habitat = Habitat::with_items(2_000, Journal::WriteAhead).await;
    let run = habitat.enqueue(Deadly { item: 3 * 777 }, 50).await.id;
    let drip = habitat.drip().await;
    let mut herd = herd(&habitat, processes, |child| child.lease(LEASE));
    let deaths = restarted(&habitat, &mut herd, &[run]).await;
    shut_down(herd).await;

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

/// Processes that may die before a run has begun to be planned.
const PLANNER_DEATHS: usize = 5;

#[tokio::test]
async fn promise_8_a_run_whose_before_run_aborts_the_process_is_given_up_and_others_are_done() {
    give_up_planning(Doomed { in_scope: false }).await;
}

#[tokio::test]
async fn promise_8_a_run_whose_scope_aborts_the_process_is_given_up_and_others_are_done() {
    give_up_planning(Doomed { in_scope: true }).await;
}

async fn give_up_planning(doomed: Doomed) {
    let habitat = Habitat::with_items(500, Journal::WriteAhead).await;
    habitat.doom();
    let run = habitat.enqueue(doomed, 50).await.id;
    let innocent = habitat.enqueue(StampAll { linger_ms: 0, tag: 0 }, 50).await.id;
    let mut herd = herd(&habitat, 1, |child| child.lease(LEASE));
    let deaths = restarted(&habitat, &mut herd, &[run, innocent]).await;
    assert_eq!(deaths, PLANNER_DEATHS, "each of them a restart of the host");
    let drip = habitat.drip().await;
    let given_up = drip.run(run).await.unwrap();
    assert_eq!((given_up.status, given_up.counts.batches), (RunStatus::Failed, 0));
    let error = given_up.error.unwrap();
    assert!(error.contains("5 processes died while they prepared this run"), "{error}");
    assert_eq!(drip.run(innocent).await.unwrap().status, RunStatus::Completed);
    habitat.audit(innocent).await;

    // Once mended it gets all its chances again.
    habitat.redeem();
    drip.retry_failed_batches(run).await.unwrap();
    let mended = habitat.settled(run).await;
    assert_eq!((mended.status, mended.counts.processed), (RunStatus::Completed, 500));
    shut_down(herd).await;
}

#[tokio::test]
async fn promise_8_runs_beside_one_whose_before_run_aborts_the_process_are_all_done() {
    let habitat = Habitat::with_items(500, Journal::WriteAhead).await;
    habitat.doom();
    let doomed = habitat.enqueue(Doomed { in_scope: false }, 50).await.id;
    let mut runs = vec![doomed];
    for tag in 0..6 {
        runs.push(habitat.enqueue(StampAll { linger_ms: 0, tag }, 250).await.id);
    }
    let mut herd = herd(&habitat, 2, |child| child.lease(LEASE));
    restarted(&habitat, &mut herd, &runs).await;
    shut_down(herd).await;
    let drip = habitat.drip().await;
    assert_eq!(drip.run(doomed).await.unwrap().status, RunStatus::Failed);
    for &innocent in &runs[1..] {
        let run = drip.run(innocent).await.unwrap();
        assert_eq!((run.status, run.error), (RunStatus::Completed, None));
    }
}

#[tokio::test]
async fn promise_8_a_batch_is_given_up_when_its_process_dies_in_scope_before_the_transaction() {
    let habitat = Habitat::with_items(100, Journal::WriteAhead).await;
    let run = habitat.enqueue(Doomed { in_scope: true }, 1_000).await.id;
    habitat.hold("planner", Moment::Written);
    let planner = habitat.child("planner").grace(Duration::ZERO).start();
    habitat.reached("planner", Moment::Written).await;
    shut_down(vec![planner]).await;
    habitat.doom();
    let mut herd = herd(&habitat, 1, |child| child.lease(LEASE));
    assert_eq!(restarted(&habitat, &mut herd, &[run]).await, DEATHS);
    let batches = habitat.audit(run).await;
    assert_eq!((batches.len(), batches[0].status, batches[0].losses), (1, BatchStatus::Failed, 4));
    shut_down(herd).await;
}
