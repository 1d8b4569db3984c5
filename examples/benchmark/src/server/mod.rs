//! The same on databases with a server, and with several workers: PostgreSQL and MariaDB.
//!
//! What is measured and how is written once; a [`Server`] says how its database is asked.

mod claims;
mod database;
pub(crate) mod idle;
mod mysql;
mod postgres;
mod processes;
mod speed;
mod takeover;
mod trips;

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use data_drip::backfill::BoxFuture;
use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database, MySql, Pool, Postgres};

pub(crate) use self::database::{Place, drip};
pub(crate) use self::processes::{FLAG, run as child};
use crate::handwritten::Loops;
use crate::machine;

/// What the options of a connection are.
pub(crate) type ConnectOptions<DB> = <<DB as Database>::Connection as Connection>::Options;

/// How a database is asked.
pub(crate) trait Server: Loops {
    /// On the command line.
    const WORD: &'static str;
    /// The environment variable with the URL of a server on which this program may create databases.
    const VARIABLE: &'static str;
    /// In statements about DataDrip's own tables: the milliseconds since 1970, now.
    const NOW: &'static str;
    /// How much work it makes of it.
    const SCALE: speed::Scale;
    /// Round trips of the engine's own that are aimed at for each batch.
    const TRIPS: u64;
    /// Brings the statistics of DataDrip's own tables up to date.
    const ANALYZE: &'static str;
    /// In the text of the statement that begins a batch's transaction.
    const MARK: &'static str;

    /// The name of the server's software with its version, and its settings that matter.
    fn heading(conn: &mut Self::Connection) -> BoxFuture<'_, Result<String>>;
    /// The same server, another database.
    fn at(options: ConnectOptions<Self>, database: &str) -> ConnectOptions<Self>;
    /// The same server, by another address.
    fn through(options: ConnectOptions<Self>, port: u16) -> ConnectOptions<Self>;
    /// Where the server listens.
    fn address(options: &ConnectOptions<Self>) -> (String, u16);
    /// How statements are counted, for the report.
    const COUNTED: &'static str;
    /// How many statements were asked so far in a database of that name.
    fn asked(database: &str) -> String;
    /// Fills the empty database `template` with employees.
    fn fill(conn: &mut Self::Connection, rows: u64) -> BoxFuture<'_, Result<()>>;
    /// Makes the database `work` anew, with what `template` has, written to the disk.
    fn copy<'c>(conn: &'c mut Self::Connection, template: &'c str, work: &'c str) -> BoxFuture<'c, Result<()>>;
    /// Inserts so many runs into DataDrip's own tables that completed long ago.
    fn settled_runs(runs: u64) -> String;
    /// Runs statements.
    fn run(conn: &mut Self::Connection, script: String) -> BoxFuture<'_, sqlx::Result<()>>;
    /// A whole number from the database; 0 for NULL.
    fn number(conn: &mut Self::Connection, query: String) -> BoxFuture<'_, sqlx::Result<i64>>;
    /// The options that a URL spells.
    fn parse(url: &str) -> Result<ConnectOptions<Self>> {
        Ok(ConnectOptions::<Self>::from_str(url)?)
    }
}

/// A pool with room for everybody.
pub(crate) fn pool<DB: Server>(options: ConnectOptions<DB>) -> Pool<DB> {
    PoolOptions::<DB>::new().max_connections(16).connect_lazy_with(options)
}

fn url<DB: Server>() -> Result<String> {
    std::env::var(DB::VARIABLE).with_context(|| {
        format!("{} is not set: run this with bin/with-servers, which starts a server and sets it", DB::VARIABLE)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Batches,
    Elements,
    Processes,
    Trips,
    Takeover,
    Flat,
    Claims,
    Idle,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Batches,
        Self::Elements,
        Self::Processes,
        Self::Trips,
        Self::Takeover,
        Self::Flat,
        Self::Claims,
        Self::Idle,
    ];

    fn named(name: &str) -> Result<Vec<Self>> {
        Ok(match name {
            "batches" => vec![Self::Batches],
            "elements" => vec![Self::Elements],
            "processes" => vec![Self::Processes],
            "speed" => vec![Self::Batches, Self::Elements, Self::Processes],
            "trips" => vec![Self::Trips],
            "takeover" => vec![Self::Takeover],
            "flat" => vec![Self::Flat],
            "claims" => vec![Self::Claims],
            "idle" => vec![Self::Idle],
            _ => bail!(
                "`{name}` is neither --quick nor one of batches, elements, processes, speed (these three), trips, takeover, \
                 flat, claims, idle"
            ),
        })
    }

    fn title(self) -> &'static str {
        match self {
            Self::Batches => "`process_batch` beside hand-written loops",
            Self::Elements => "`process_element` beside hand-written loops",
            Self::Processes => "Several processes",
            Self::Trips => "Round trips per batch",
            Self::Takeover => "Take-over after a kill",
            Self::Flat => "Many batches, many runs",
            Self::Claims => "Empty batches per second",
            Self::Idle => "A minute of idleness",
        }
    }

    async fn run<DB: Server>(self, place: &Place<DB>, scale: &speed::Scale) -> Result<()> {
        match self {
            Self::Batches => speed::batches(place, scale).await,
            Self::Elements => speed::elements(place, scale).await,
            Self::Processes => speed::processes(place, scale).await,
            Self::Trips => trips::count(place).await,
            Self::Takeover => takeover::measure(place, scale).await,
            Self::Flat => claims::flat(place, scale).await,
            Self::Claims => claims::claims(place, scale).await,
            Self::Idle => idle::count(place).await,
        }
    }
}

/// The program's work when a server is named first; `None` for another word.
pub(crate) async fn run(word: &str, arguments: &[String]) -> Option<Result<()>> {
    match word {
        Postgres::WORD => Some(report::<Postgres>(arguments).await),
        MySql::WORD => Some(report::<MySql>(arguments).await),
        _ => None,
    }
}

async fn report<DB: Server>(arguments: &[String]) -> Result<()> {
    let mut scale = DB::SCALE;
    let mut wanted = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--quick" => scale = speed::Scale::QUICK,
            setting if scale.set(setting)? => {}
            name => wanted.extend(Part::named(name)?),
        }
    }
    if wanted.is_empty() {
        wanted.extend(Part::ALL);
    }
    let place = Place::<DB>::new(&url::<DB>()?).await?;
    println!("{}", machine::description_with(&DB::heading(&mut *place.server().await?).await?).await?);
    let mut outcome = Ok(());
    for part in wanted {
        println!("\n## {}\n", part.title());
        outcome = part.run(&place, &scale).await;
        if outcome.is_err() {
            break;
        }
    }
    place.leave().await?;
    println!("\nLoad average at the end: {}.", machine::load());
    outcome
}
