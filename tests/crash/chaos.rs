//! Everything at once.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use data_drip::{ErrorKind, RunStatus};
use zoo::backfills::StampAll;
use zoo::{Habitat, Journal};

use crate::{herd, random, shut_down};

const ITEMS: u32 = 20_000;
const BLOWS: i64 = 25;
/// Naps take time in which the others get on.
const LEAST_BLOWS: i64 = 12;
const LEASE: Duration = Duration::from_millis(500);

#[tokio::test]
async fn kills_naps_deploys_and_pauses_together_lose_and_repeat_nothing() {
    let mut random = random();
    let habitat = Habitat::with_items(ITEMS, Journal::WriteAhead).await;
    let drip = habitat.drip().await;
    // With pauses between batches the write lock is free often enough for everything that is asked.
    let stamp = StampAll { linger_ms: 10, tag: 0 };
    let run = drip.enqueue(stamp).batch_size(50).sleep(Duration::from_millis(30)).await.unwrap().id;
    let orders = |child: zoo::Orders| child.lease(LEASE).grace(Duration::from_millis(5));
    let mut herd = herd(&habitat, 3, orders);
    let mut blows = 0;
    for blow in 0..BLOWS {
        let progress = i64::from(ITEMS) * blow / (BLOWS + 5);
        zoo::eventually("the next blow's turn", async || habitat.processed().await >= progress).await;
        tokio::time::sleep(Duration::from_millis(random.u64(..50))).await;
        let victim = &mut herd[random.usize(..3)];
        match random.u8(..4) {
            0 => {
                let next = orders(habitat.child(victim.name())).start();
                std::mem::replace(victim, next).kill();
            }
            1 => {
                victim.suspend().await;
                // Sometimes past its lease.
                tokio::time::sleep(LEASE.mul_f64(random.f64() * 3.0)).await;
                victim.wake();
            }
            2 => {
                victim.ask_to_end();
                let next = orders(habitat.child(victim.name())).start();
                let ended = std::mem::replace(victim, next).ended().await;
                // Without a handler yet when it was only just started: then it is one more kill.
                assert!(ended.success() || ended.signal().is_some(), "{ended}");
            }
            _ => match drip.pause(run).await {
                Ok(_) => drop(drip.resume(run).await.unwrap()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            },
        }
        if drip.run(run).await.unwrap().status.is_settled() {
            break;
        }
        blows += 1;
    }
    assert!(blows >= LEAST_BLOWS, "the run was over after {blows} blows");
    let run = habitat.settled(run).await;
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    assert_eq!(run.counts.processed, u64::from(ITEMS));
    habitat.audit(run.id).await;
    shut_down(herd).await;
}
