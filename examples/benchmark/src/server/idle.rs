//! What worker processes ask that have nothing to do, counted by the server.

use std::time::Duration;

use anyhow::Result;

use super::database::{Place, drip};
use super::{Server, pool};
use crate::table::{Table, rate, rounded};

/// Until connections are opened and statements prepared, and it is seen that calls are heard.
pub(crate) const BEFORE: Duration = Duration::from_secs(20);
pub(crate) const WINDOW: Duration = Duration::from_mins(2);

pub(super) async fn count<DB: Server>(place: &Place<DB>) -> Result<()> {
    println!(
        "Worker processes with four slots each and all other settings as they come, in a database without a run, over {} \
         seconds. {}\n",
        WINDOW.as_secs(),
        DB::COUNTED
    );
    let mut table = Table::new(["workers", "statements a minute", "of each worker"]);
    for workers in [1, 4] {
        place.fresh(1).await?;
        let mut started = Vec::new();
        for _ in 0..workers {
            started.push(drip(pool::<DB>(place.work()), 4).await?.start());
        }
        tokio::time::sleep(BEFORE).await;
        let mut server = place.server().await?;
        let before = DB::number(&mut server, DB::asked(place.name())).await?;
        tokio::time::sleep(WINDOW).await;
        let asked = DB::number(&mut server, DB::asked(place.name())).await? - before;
        let minutes = WINDOW.as_secs() / 60;
        let asked = u64::try_from(asked)? / minutes;
        table.row([&workers, &asked, &rounded(rate(asked, Duration::from_secs(workers)))]);
        for worker in started {
            worker.shutdown().await;
        }
    }
    print!("{table}");
    Ok(())
}
