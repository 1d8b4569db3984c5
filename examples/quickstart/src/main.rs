//! `cargo run -p quickstart`: loads real data, runs a backfill over it, checks the result, and serves the application
//! with the dashboard until Ctrl-C.
#![forbid(unsafe_code)]

use std::env;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use data_drip::sqlite::prelude::DataDrip;
use quickstart::terminal::thousands;
use quickstart::{demo, site, weather};
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const USAGE: &str = "\
Usage: cargo run -p quickstart -- [OPTIONS]

  --once             exit after the check: with an error if it is not passed
  --database <PATH>  the database file; created where there is none
  --port <PORT>      where to serve; 3000, and 0 takes any free port
  --help             this text";

struct Arguments {
    once: bool,
    database: PathBuf,
    port: u16,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(arguments) = Arguments::parse(env::args().skip(1))? else {
        println!("{USAGE}");
        return Ok(());
    };
    // What the backfills say is kept with their batches.
    tracing_subscriber::registry().with(data_drip::logs::layer()).init();
    // Taken before anything is done, so that a port in use is known at once.
    let listener = if arguments.once { None } else { Some(listen(arguments.port).await?) };

    println!("Hourly weather at New York's airports, 2013, and the UTC time that it lacks\n");
    let pool = prepare(&arguments).await?;
    let drip = DataDrip::builder(pool.clone()).build().await?;
    let worker = drip.start();

    let work = async {
        let choice = demo::compute(&drip, &pool).await?;
        demo::verify(&pool, choice).await
    };
    let passed = tokio::select! {
        passed = work => passed?,
        () = shutdown_signal() => {
            println!("\n\nStopping. The next start goes on where this one was.");
            worker.shutdown().await;
            return Ok(());
        }
    };

    let Some(listener) = listener else {
        worker.shutdown().await;
        return if passed { Ok(()) } else { bail!("the check is not passed") };
    };
    let address = listener.local_addr()?;
    println!("\nServing http://{address}, the dashboard at http://{address}{} (Ctrl-C ends it)", site::DASHBOARD);
    axum::serve(listener, site::router(&drip, pool))
        .with_graceful_shutdown(worker.shutdown_on(shutdown_signal()))
        .await?;
    println!("\nStopped.");
    Ok(())
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    // Only this computer: everybody may act in this dashboard.
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    listener.with_context(|| format!("could not listen on port {port}: choose another one with --port"))
}

/// Opens the database and fills it if it is empty.
async fn prepare(arguments: &Arguments) -> anyhow::Result<sqlx::SqlitePool> {
    let path = &arguments.database;
    // As the reader would name it.
    let shown = env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    println!("Database: {}", shown.display());
    let pool = weather::open(path).await?;
    let start = Instant::now();
    let rows = thousands(weather::OBSERVATIONS);
    if weather::load(&pool).await? {
        println!("Loaded {rows} observations in {:.1} s", start.elapsed().as_secs_f64());
    } else {
        println!("Its {rows} observations were loaded before");
    }
    Ok(pool)
}

impl Arguments {
    /// `None` when help was asked for.
    fn parse(mut given: impl Iterator<Item = String>) -> anyhow::Result<Option<Self>> {
        // Ignored by git; a host of yours reads its configuration here.
        let database = concat!(env!("CARGO_MANIFEST_DIR"), "/quickstart.db").into();
        let mut arguments = Self { once: false, database, port: 3000 };
        while let Some(name) = given.next() {
            let mut value = || given.next().with_context(|| format!("{name} needs a value\n\n{USAGE}"));
            match name.as_str() {
                "--once" => arguments.once = true,
                "--database" => arguments.database = value()?.into(),
                "--port" => {
                    let port = value()?;
                    arguments.port = port.parse().with_context(|| format!("`{port}` is not a port"))?;
                }
                "--help" | "-h" => return Ok(None),
                unknown => bail!("unknown argument `{unknown}`\n\n{USAGE}"),
            }
        }
        Ok(Some(arguments))
    }
}

/// Resolves at Ctrl-C, or when the system asks the program to end.
async fn shutdown_signal() {
    let interrupt = async { tokio::signal::ctrl_c().await.expect("Ctrl-C can be listened for") };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).expect("SIGTERM can be listened for").recv().await;
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
