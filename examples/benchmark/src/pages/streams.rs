//! What it costs when many watch: streams over loopback, on the page of the great run, on which something changes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use data_drip::dashboard::Access;
use data_drip::{Backfiller, DataDrip};
use sqlx::Pool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Amount;
use super::fill::Filled;
use crate::machine;
use crate::table::{Table, grouped, median, millis};

const WATCHERS: [usize; 3] = [1, 50, 200];
/// Changes, one after the other, each waited for by everybody.
const CHANGES: u64 = 10;

/// From a committed change until the last of all watchers has heard of it; the processor's time of this process, watchers
/// and all, in that time.
pub(super) async fn measure<DB: Filled>(drip: &DataDrip<DB>, pool: &Pool<DB>, amount: Amount) -> Result<Table> {
    let who = async || Access::Act(Backfiller::new("p1", "Person 1"));
    let app: Router = drip.dashboard(who);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let mut table = Table::new(["open streams", "everybody told, median", "slowest", "processor", "memory"]);
    for watchers in WATCHERS {
        let figures = watched(pool, amount, port, watchers).await?;
        let slowest = figures.times.iter().max().copied().unwrap_or_default();
        let usual = median(&figures.times).unwrap_or_default();
        let busy = format!("{:.1} %", figures.busy * 100.0);
        let memory = format!("{} KiB", grouped(figures.memory));
        table.row([&grouped(watchers as u64), &millis(usual), &millis(slowest), &busy, &memory]);
    }
    server.abort();
    Ok(table)
}

struct Figures {
    times: Vec<Duration>,
    /// Of one core.
    busy: f64,
    /// That this process holds.
    memory: u64,
}

async fn watched<DB: Filled>(pool: &Pool<DB>, amount: Amount, port: u16, watchers: usize) -> Result<Figures> {
    let mut open = Vec::with_capacity(watchers);
    for _ in 0..watchers {
        open.push(Watcher::new(port, amount.runs).await?);
    }
    let (begun, worked) = (Instant::now(), machine::processor_time());
    let mut times = Vec::new();
    for change in 1..=CHANGES {
        let total = amount.great * 1_000 + change;
        let statement = format!("UPDATE data_drip_backfill_runs SET total = {total} WHERE id = {}", amount.runs);
        DB::script(pool, statement).await?;
        let changed = Instant::now();
        let mut telling = JoinSet::new();
        for watcher in open.drain(..) {
            telling.spawn(watcher.told(grouped(total)));
        }
        while let Some(watcher) = telling.join_next().await {
            open.push(watcher??);
        }
        times.push(changed.elapsed());
    }
    let worked = machine::processor_time().zip(worked).map(|(now, before)| now.saturating_sub(before));
    let busy = worked.unwrap_or_default().as_secs_f64() / begun.elapsed().as_secs_f64();
    Ok(Figures { times, busy, memory: machine::held_memory().unwrap_or(0) })
}

/// A reader of one stream.
struct Watcher {
    connection: TcpStream,
    heard: String,
}

impl Watcher {
    async fn new(port: u16, run: u64) -> Result<Self> {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!("GET /backfill_runs/{run}/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        Self { connection, heard: String::new() }.told("live-settings".to_owned()).await
    }

    /// Waits until it hears of `part`.
    async fn told(mut self, part: String) -> Result<Self> {
        while !self.heard.contains(&part) {
            let mut bytes = [0; 8_192];
            let read = self.connection.read(&mut bytes).await.context("a stream broke")?;
            ensure!(read > 0, "a stream ended");
            self.heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        self.heard.clear();
        Ok(self)
    }
}
