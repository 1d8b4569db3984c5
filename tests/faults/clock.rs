//! A process whose wall clock is wrong. The engine goes by the database's clock; of its own it takes durations only.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use herd::Moment;

use super::backfills::StampAll;
use super::world::{World, shut_down};

const ITEMS: u32 = 1_000;
/// So long that nobody loses it because the machine has much to do.
const LEASE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_worker_whose_clock_is_an_hour_fast_takes_nothing_over_from_the_living_and_loses_nothing() {
    off_by("+1h").await;
}

#[tokio::test]
async fn a_worker_whose_clock_is_an_hour_slow_is_not_taken_for_dead_and_starts_nothing_early() {
    off_by("-1h").await;
}

async fn off_by(offset: &str) {
    let Some(library) = library() else {
        super::say("SKIPPED: a wrong clock (libfaketime is not installed)");
        return;
    };
    let Some(world) = World::with_items(ITEMS).await else { return };
    let wrong = world
        .worker("wrong")
        .env("LD_PRELOAD", library.to_str().unwrap())
        .env("FAKETIME", offset)
        // Durations are right: a clock that is wrong runs as fast as any.
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .lease(LEASE)
        .start();
    let right = world.worker("right").lease(LEASE).start();
    for name in ["wrong", "right"] {
        world.folder.hold(name, Moment::Written);
    }
    let run = world.enqueue(StampAll { linger_ms: 10, tag: 0 }, 20).await;
    for name in ["wrong", "right"] {
        // Each has a batch in its hands before either goes on.
        world.folder.reached(name, Moment::Written).await;
    }
    for name in ["wrong", "right"] {
        world.folder.release(name, Moment::Written);
    }
    let batches = world.completed(run, u64::from(ITEMS)).await;
    assert!(batches.iter().all(|batch| batch.losses == 0), "nobody is taken for dead: {batches:?}");
    let hands: HashSet<_> = batches.iter().filter_map(|batch| batch.worker.clone()).collect();
    assert_eq!(hands.len(), 2, "both have worked");

    // Due in a moment by the database's clock, and long ago, or in an hour, by the wrong one.
    let at = chrono::Utc::now() + chrono::TimeDelta::seconds(2);
    let later = world.drip.enqueue(StampAll { linger_ms: 0, tag: 1 }).start_at(at).await.unwrap();
    let later = world.settled(later.id).await;
    assert_eq!(later.counts.processed, u64::from(ITEMS));
    assert!(later.started_at.unwrap() >= at, "{later:?} was to start at {at}");
    let log = std::fs::read_to_string(world.folder.path().join("wrong.log")).unwrap();
    let hour = chrono::Utc::now().format("%Y-%m-%dT%H:").to_string();
    assert!(!log.lines().last().unwrap().starts_with(&hour), "its clock is not wrong");
    shut_down([wrong, right]).await;
}

/// What tells a process another time; it needs no privilege.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file())
}
