//! How long the range of a killed process waits for its next commit.

use std::time::Duration;

use anyhow::{Context, Result};
use data_drip::{DataDrip, Run};

use super::database::{Place, builder};
use super::processes::{Child, Worker};
use super::{Server, pool};
use crate::backfills::Hold;
use crate::engine;
use crate::table::{Table, median};

const LEASE: Duration = Duration::from_secs(3);
const ROWS: u64 = 100;
/// How often to look for what another process does.
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn measure<DB: Server>(place: &Place<DB>, scale: &super::speed::Scale) -> Result<()> {
    println!(
        "Two workers, a lease of {} s, one batch. The worker that has it is killed with SIGKILL in the middle of it, at another \
         moment of the lease each time; by the database's clock, from there to the commit of the other one, which has been \
         there for a lease.\n",
        LEASE.as_secs()
    );
    let mut times = Vec::new();
    for kill in 0..scale.kills {
        times.push(once(place, LEASE + LEASE / 3 * kill / scale.kills).await?.as_secs_f64());
    }
    let leases = |seconds: f64| format!("{:.2}", seconds / LEASE.as_secs_f64());
    let mut table = Table::new(["kills", "median", "in leases", "each, in leases"]);
    let middle = median(&times).context("nobody was killed")?;
    let each: Vec<_> = times.iter().map(|&seconds| leases(seconds)).collect();
    table.row([&times.len(), &format!("{middle:.1} s"), &leases(middle), &each.join(" ")]);
    print!("{table}");
    Ok(())
}

/// From the kill to the commit; killed after both have been there for so long.
async fn once<DB: Server>(place: &Place<DB>, after: Duration) -> Result<Duration> {
    place.fresh(ROWS).await?;
    let pool = pool::<DB>(place.work());
    let drip = builder(pool.clone(), 1).poll_interval(LOOK).build().await?;
    let worker = |holds| Worker { lease: LEASE, holds, ..Worker::DEFAULT };
    let holder = Child::worker(place, &worker(true)).await?;
    let run = drip.enqueue(Hold::<DB>::default()).batch_size(ROWS).await?;
    until_claimed(&drip, &run).await?;
    let other = Child::worker(place, &worker(false)).await?;
    tokio::time::sleep(after).await;
    let killed = DB::number(&mut *pool.acquire().await?, DB::NOW.to_owned()).await?;
    holder.kill().await?;
    let done = drip.wait(run.id).await?;
    engine::check(&done, ROWS)?;
    let finished = "SELECT max(finished_at) FROM data_drip_backfill_run_batches".to_owned();
    let finished = DB::number(&mut *pool.acquire().await?, finished).await?;
    other.end().await?;
    pool.close().await;
    Ok(Duration::from_millis(u64::try_from(finished - killed)?))
}

async fn until_claimed<DB: Server>(drip: &DataDrip<DB>, run: &Run) -> Result<()> {
    while drip.run(run.id).await?.counts.running == 0 {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
