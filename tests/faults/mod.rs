//! Faults, survived, written once: each database that takes several writers at a time runs all of it.
//!
//! Whatever happens to processes, connections and servers: a ledger, written by user code in the batch's own transaction,
//! shows that every row was processed exactly once; the counts say what the ledger says; and the run is settled.
//!
//! What is random is drawn from a seed that each test prints; `FAULTS_SEED` sets it. `FAULTS_BUDGET` has the random ones go
//! on for so many times as long.

mod application;
#[path = "../support/audit.rs"]
mod audit;
mod backfills;
mod clock;
mod commit;
mod conflicts;
mod deadly;
mod kill;
mod migrate;
mod network;
mod pool;
mod proxy;
mod restart;
mod server;
#[path = "../support/stamp.rs"]
mod stamp;
mod steer;
mod suspend;
mod terminate;
mod world;

pub use self::world::execute;

/// Straight to the file: what a passing test prints is not shown.
fn say(words: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Randomness that can be had again.
fn random() -> fastrand::Rng {
    let seed = match std::env::var("FAULTS_SEED") {
        Ok(seed) => seed.parse().expect("FAULTS_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("FAULTS_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// How many times as long the random ones go on.
fn budget() -> u32 {
    std::env::var("FAULTS_BUDGET").map_or(1, |budget| budget.parse().expect("FAULTS_BUDGET is a number"))
}
