//! People and workers at the same run at the same time.

use std::time::Duration;

use data_drip::{Error, ErrorKind, Run, RunId, RunStatus};

use super::backfills::Picky;
use super::random;
use super::world::{World, shut_down};
use crate::database::prelude::DataDrip;

const ITEMS: u32 = 2_000;
const PEOPLE: usize = 4;
const ACTIONS: u32 = 25;

#[tokio::test]
async fn stop_pause_resume_and_retry_race_each_other_and_settling_and_nothing_is_lost_or_repeated() {
    let mut random = random();
    let Some(world) = World::with_items(ITEMS).await else { return };
    let herd = world.herd(2);
    let run = world.enqueue(Picky { item: 3 * 3 }, 20).await;
    let people: Vec<_> = (0..PEOPLE).map(|_| tokio::spawn(steer(world.drip.clone(), run, random.fork()))).collect();
    let mut acted = 0;
    for person in people {
        acted += person.await.unwrap();
    }
    println!("{acted} actions were taken, the others refused");
    assert!(acted > 0, "nothing was raced");

    world.database.run("INSERT INTO unique_words VALUES ('mended')").await;
    let settled = herd_to_its_end(&world, run).await;
    assert_eq!((settled.status, settled.counts.processed), (RunStatus::Completed, u64::from(ITEMS)), "{settled:?}");
    world.audit(run).await;
    shut_down(herd).await;
}

/// One person, who does this and that; how often it was done.
async fn steer(drip: DataDrip, run: RunId, mut random: fastrand::Rng) -> u32 {
    let mut acted = 0;
    for _ in 0..ACTIONS {
        let outcome = match random.u8(..6) {
            0 => drip.stop(run).await,
            1 => drip.stop(run).now().await,
            2 => drip.pause(run).await,
            3 => drip.retry_failed_batches(run).await,
            _ => drip.resume(run).await,
        };
        acted += u32::from(done(outcome));
        tokio::time::sleep(Duration::from_millis(random.u64(..15))).await;
    }
    acted
}

/// Whether it was done; the only other answer is that the run is not in a state for it.
fn done(outcome: Result<Run, Error>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            false
        }
    }
}

/// Has it resumed or tried again until it is completed.
async fn herd_to_its_end(world: &World, run: RunId) -> Run {
    loop {
        if !done(world.drip.resume(run).await) {
            done(world.drip.retry_failed_batches(run).await);
        }
        let settled = world.settled(run).await;
        if settled.status == RunStatus::Completed {
            return settled;
        }
    }
}
