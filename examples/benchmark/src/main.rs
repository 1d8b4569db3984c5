//! The engine beside a hand-written loop that does the same work on the same file, in the same run.
//!
//! ```text
//! cargo run --release -p benchmark                  # everything on SQLite, as in docs/benchmarks.md
//! cargo run --release -p benchmark -- --quick       # smaller tables, fewer rounds
//! cargo run --release -p benchmark -- batches       # some of: batches, elements, start, sparse, trips, pages, idle
//!
//! # The same on a server that is started for it; instead of postgres, mysql.
//! bin/with-servers cargo run --release -p benchmark -- postgres
//! bin/with-servers cargo run --release -p benchmark -- postgres --quick
//! # Some of: batches, elements, processes, speed (these three), trips, takeover, flat, claims, idle.
//! bin/with-servers cargo run --release -p benchmark -- postgres speed
//! # And with other numbers than those of the report.
//! bin/with-servers cargo run --release -p benchmark -- postgres batches --rows=200000 --rounds=3 --sizes=100 --workers=1,2
//! ```
//!
//! The tables are Markdown. Files go to the temporary folder (`TMPDIR`), about 1 GB of them, and are removed; so are the databases
//! on a server, whose names begin with `data_drip_benchmark_`.
#![forbid(unsafe_code)]

mod backfills;
mod child;
mod database;
mod engine;
mod handwritten;
mod machine;
mod pages;
mod parts;
mod proxy;
mod server;
mod statements;
mod table;

use anyhow::{Result, bail};

use crate::parts::{Part, Scale};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((child::FLAG, rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return child::run(rest).await;
    }
    if let Some((word, rest)) = arguments.split_first() {
        if word == server::FLAG {
            return server::child(rest).await;
        }
        if let Some(report) = server::run(word, rest).await {
            return report;
        }
    }
    let mut scale = Scale::FULL;
    let mut wanted = Vec::new();
    for argument in &arguments {
        match argument.as_str() {
            "--quick" => scale = Scale::QUICK,
            name => match Part::named(name) {
                Some(part) => wanted.push(part),
                None => bail!("`{name}` is neither --quick nor one of {}", Part::names()),
            },
        }
    }
    if wanted.is_empty() {
        wanted.extend(Part::ALL);
    }
    let folder = database::Folder::new()?;
    println!("{}", machine::description().await?);
    for part in wanted {
        println!("\n## {}\n", part.title());
        part.run(&folder, &scale).await?;
    }
    println!("\nLoad average at the end: {}.", machine::load());
    Ok(())
}
