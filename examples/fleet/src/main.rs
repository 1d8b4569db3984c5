//! `cargo run -p fleet`: starts a throw-away PostgreSQL server, a web process with the dashboard and three worker processes,
//! and shows how they share one run, until Ctrl-C.
//!
//! A reader's map:
//!
//! - [`worker`] and [`web`]: **start here**: what the processes of a host do
//! - [`backfills`]: what they execute
//! - [`weather`]: the host's own table, and the data that it is filled with
//! - [`conductor`]: starts all of them and shows how far they are; your machines' init system does this for you
//! - [`server`]: the throw-away server, which you have already
#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!("this example reaches its server through a Unix socket");

mod backfills;
mod conductor;
mod process;
mod server;
mod terminal;
mod weather;
mod web;
mod worker;

use std::path::PathBuf;

use anyhow::{Context, bail};

const USAGE: &str = "\
Usage: cargo run -p fleet -- [OPTIONS]

  --once           exit after the run: with an error if a row is not what it should be
  --port <PORT>    where the web process serves; 3000, and 0 takes any free port
  --help           this text";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut given = std::env::args().skip(1);
    let (mut once, mut port) = (false, 3000);
    while let Some(name) = given.next() {
        let mut value = || given.next().with_context(|| format!("{name} needs a value\n\n{USAGE}"));
        match name.as_str() {
            // What the conductor starts. A host of yours reads the address of its database from its configuration.
            "worker" => return worker::run(&PathBuf::from(value()?)).await,
            "web" => return web::run(&PathBuf::from(value()?), value()?.parse()?).await,
            "--once" => (once, port) = (true, 0),
            "--port" => port = value()?.parse().with_context(|| format!("not a port\n\n{USAGE}"))?,
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(());
            }
            unknown => bail!("unknown argument `{unknown}`\n\n{USAGE}"),
        }
    }
    conductor::run(once, port).await
}
