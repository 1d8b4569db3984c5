//! The databases of one measurement: a template made once, and a copy of it for each round, so that every round does the
//! same work from the same state.

use std::marker::PhantomData;

use anyhow::Result;
use data_drip::DataDrip;
use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions as _, Connection, Pool};
use tokio::sync::Mutex;

use super::{ConnectOptions, Server, pool};
use crate::backfills::{AddEmail, AddRole, Hold, Nothing};

/// A server, and the names of this program's databases on it.
pub(crate) struct Place<DB: Server> {
    options: ConnectOptions<DB>,
    pool: Pool<DB>,
    template: String,
    work: String,
    /// The rows of the template that there is.
    filled: Mutex<Option<u64>>,
    database: PhantomData<DB>,
}

impl<DB: Server> Place<DB> {
    pub(crate) async fn new(url: &str) -> Result<Self> {
        let options = DB::parse(url)?;
        let name = |what: &str| format!("data_drip_benchmark_{}_{what}", std::process::id());
        let (template, work) = (name("template"), name("work"));
        let pool = pool::<DB>(options.clone());
        // So that a wrong URL is an error now.
        pool.acquire().await?;
        Ok(Self { options, pool, template, work, filled: Mutex::new(None), database: PhantomData })
    }

    /// A connection to the server, in none of this program's databases.
    pub(crate) async fn server(&self) -> Result<PoolConnection<DB>> {
        Ok(self.pool.acquire().await?)
    }

    /// The database to work in.
    pub(crate) fn work(&self) -> ConnectOptions<DB> {
        DB::at(self.options.clone(), &self.work)
    }

    pub(crate) fn name(&self) -> &str {
        &self.work
    }

    /// The database to work in, with so many employees without a role and an address, and DataDrip's own empty tables.
    pub(crate) async fn fresh(&self, rows: u64) -> Result<()> {
        let mut filled = self.filled.lock().await;
        let mut server = self.server().await?;
        if *filled != Some(rows) {
            DB::run(&mut server, format!("DROP DATABASE IF EXISTS {}", self.template)).await?;
            DB::run(&mut server, format!("CREATE DATABASE {}", self.template)).await?;
            let mut conn = DB::at(self.options.clone(), &self.template).connect().await?;
            DB::fill(&mut conn, rows).await?;
            conn.close().await?;
            *filled = Some(rows);
        }
        DB::copy(&mut server, &self.template, &self.work).await?;
        // Its own tables, before the clock runs.
        let pool = pool::<DB>(self.work());
        drip(pool.clone(), 1).await?;
        pool.close().await;
        Ok(())
    }

    /// Leaves nothing behind.
    pub(crate) async fn leave(self) -> Result<()> {
        let mut server = self.server().await?;
        for name in [&self.work, &self.template] {
            DB::run(&mut server, format!("DROP DATABASE IF EXISTS {name}")).await?;
        }
        Ok(())
    }
}

/// The engine with every backfill that is measured.
pub(crate) async fn drip<DB: Server>(pool: Pool<DB>, slots: usize) -> Result<DataDrip<DB>> {
    Ok(builder(pool, slots).build().await?)
}

pub(crate) fn builder<DB: Server>(pool: Pool<DB>, slots: usize) -> data_drip::Builder<DB> {
    DataDrip::builder(pool)
        .slots(slots)
        .with::<AddRole<DB>>()
        .with::<AddEmail<DB>>()
        .with::<Nothing<DB>>()
        .with::<Hold<DB>>()
}
