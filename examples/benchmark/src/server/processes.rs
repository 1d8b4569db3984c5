//! This program, started again: workers and hand-written loops in processes of their own.
//!
//! A child says `ready` when it is, and ends when its standard input does.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlx::{ConnectOptions as _, MySql, Postgres};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child as Process, ChildStdin, ChildStdout, Command};

use super::database::{Place, builder};
use super::{Server, pool, url};
use crate::backfills::HOLDS;
use crate::engine::WARM_UP;
use crate::handwritten::{Books, Share};

pub(crate) const FLAG: &str = "--server-child";
const READY: &str = "ready";

/// A process that works for this one.
pub(super) struct Child {
    process: Process,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// What a worker in a process of its own is like.
pub(super) struct Worker {
    pub(super) slots: u64,
    pub(super) lease: Duration,
    /// Never gets to the end of a batch of [`Hold`](crate::backfills::Hold).
    pub(super) holds: bool,
}

impl Worker {
    pub(super) const DEFAULT: Self = Self { slots: 1, lease: Duration::from_secs(30), holds: false };
}

impl Child {
    /// A worker, ready to claim.
    pub(super) async fn worker<DB: Server>(place: &Place<DB>, worker: &Worker) -> Result<Self> {
        let lease = worker.lease.as_millis().to_string();
        Self::start(place, ["work", &worker.slots.to_string(), &lease, ""], worker.holds).await
    }

    /// A hand-written loop that waits for its sign.
    pub(super) async fn handwritten<DB: Server>(place: &Place<DB>, share: Share, size: u64) -> Result<Self> {
        Self::start(place, ["loop", &share.0.to_string(), &share.1.to_string(), &size.to_string()], false).await
    }

    async fn start<DB: Server>(place: &Place<DB>, [what, a, b, c]: [&str; 4], holds: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([FLAG, what, DB::WORD, place.name(), a, b, c]);
        if holds {
            command.env(HOLDS, "1");
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let input = process.stdin.take().context("no way to the child")?;
        let output = BufReader::new(process.stdout.take().context("no way from the child")?).lines();
        let mut child = Self { process, input, output };
        ensure!(child.line().await? == READY, "the child is not ready");
        Ok(child)
    }

    async fn line(&mut self) -> Result<String> {
        self.output.next_line().await?.context("the child has ended")
    }

    /// SIGKILL, and nothing is left of it.
    pub(super) async fn kill(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Lets it end in its own time.
    pub(super) async fn end(mut self) -> Result<()> {
        drop(self.input);
        let status = self.process.wait().await?;
        ensure!(status.success(), "a child ended with {status}");
        Ok(())
    }
}

/// Lets the loops go, and waits for all of them; the time, and the rows that they updated.
pub(super) async fn race(loops: &mut [Child]) -> Result<(Duration, u64)> {
    let begun = Instant::now();
    for child in &mut *loops {
        child.input.write_all(b"go\n").await?;
    }
    let mut rows = 0;
    for child in loops {
        rows += child.line().await?.parse::<u64>()?;
    }
    Ok((begun.elapsed(), rows))
}

/// The child's side.
pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    let [what, word, database, rest @ ..] = arguments else {
        bail!("{FLAG} takes what to do, a server and a database")
    };
    match word.as_str() {
        Postgres::WORD => run_on::<Postgres>(what, database, rest).await,
        MySql::WORD => run_on::<MySql>(what, database, rest).await,
        other => bail!("{FLAG} knows no server `{other}`"),
    }
}

async fn run_on<DB: Server>(what: &str, database: &str, rest: &[String]) -> Result<()> {
    let options = DB::at(DB::parse(&url::<DB>()?)?, database);
    match (what, rest) {
        ("work", [slots, lease, ..]) => {
            let lease = Duration::from_millis(lease.parse()?);
            let drip = builder(pool::<DB>(options), slots.parse()?).lease(lease).build().await?;
            let worker = drip.start();
            tokio::time::sleep(WARM_UP).await;
            println!("{READY}");
            tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
            worker.shutdown().await;
            Ok(())
        }
        ("loop", [after, upto, size]) => {
            let (share, size) = (Share(after.parse()?, upto.parse()?), size.parse()?);
            let mut conn = options.connect().await?;
            println!("{READY}");
            let mut lines = BufReader::new(tokio::io::stdin()).lines();
            lines.next_line().await?.context("the parent has ended")?;
            let rows = tokio::spawn(async move { DB::add_role(&mut conn, share, size, Books::None).await }).await??;
            println!("{rows}");
            lines.next_line().await?;
            Ok(())
        }
        _ => bail!("{FLAG} cannot do `{what}`"),
    }
}
