//! Many processes that start at once.

use data_drip::RunStatus;
use zoo::backfills::StampAll;
use zoo::{Habitat, Journal, Moment};

use crate::shut_down;

#[tokio::test]
async fn eight_processes_start_at_once_on_a_fresh_file() {
    rush(Journal::WriteAhead).await;
}

#[tokio::test]
async fn eight_processes_start_at_once_on_a_fresh_file_with_a_rollback_journal() {
    rush(Journal::Rollback).await;
}

async fn rush(journal: Journal) {
    let habitat = Habitat::empty(journal);
    let names: Vec<_> = (1..=8).map(|n| format!("process-{n}")).collect();
    let mut herd = Vec::new();
    for name in &names {
        habitat.hold(name, Moment::Start);
        herd.push(habitat.child(name).queue(name).start());
    }
    for name in &names {
        habitat.reached(name, Moment::Start).await;
    }
    for name in &names {
        habitat.release(name, Moment::Start);
    }
    for name in &names {
        habitat.reached(name, Moment::Started).await;
    }
    let applied = "SELECT count(*) = (SELECT version FROM data_drip_schema) AND count(*) = count(DISTINCT version)
                   FROM data_drip_migrations";
    assert_eq!(habitat.number(applied).await, 1);
    assert_eq!(habitat.number("SELECT count(*) FROM data_drip_schema").await, 1);

    // Each works: nobody else serves its queue.
    habitat.settle(100).await;
    let drip = habitat.drip().await;
    for (tag, name) in (0..).zip(&names) {
        drip.enqueue(StampAll { linger_ms: 0, tag }).batch_size(30).queue(name).await.unwrap();
    }
    for run in drip.runs().await.unwrap() {
        assert_eq!(habitat.settled(run.id).await.status, RunStatus::Completed);
        habitat.audit(run.id).await;
    }
    let by = "SELECT count(*) FROM (SELECT process FROM ledger GROUP BY process HAVING count(*) = 100)";
    assert_eq!(habitat.number(by).await, 8);
    shut_down(herd).await;
}
