//! What is measured: one backfill of each kind, for each of the databases.
//!
//! By the traits behind `#[backfill]`: what the macro writes is for one database, and a backfill that is linked in for another
//! one than the pool's is an error at start-up.

use std::marker::PhantomData;
use std::time::Duration;

use data_drip::backend::Backend;
use data_drip::backfill::{Context, Mode};
use data_drip::batch::Batch;
use data_drip::options::{Input, Options};
use data_drip::scope::Scope;
use data_drip::{Backfill, col};
use sqlx::Connection;

use crate::handwritten::Loops;

macro_rules! without_options {
    ($(#[$doc:meta])* $type:ident, $name:literal, $bound:ident) => {
        $(#[$doc])*
        pub(crate) struct $type<DB>(PhantomData<fn() -> DB>);

        impl<DB> Default for $type<DB> {
            fn default() -> Self {
                Self(PhantomData)
            }
        }

        impl<DB: $bound> Options for $type<DB> {
            const NAME: &'static str = $name;

            fn parse(_: &mut Input<'_>) -> Option<Self> {
                Some(Self::default())
            }
        }
    };
}

without_options! {
    /// Gives every employee without a role the default one.
    AddRole, "add_role", Backend
}

impl<DB: Backend> Backfill for AddRole<DB> {
    type Database = DB;

    fn scope(&self) -> Scope<DB> {
        Scope::table("employees").filter(col("role").is_null())
    }

    async fn process(&self, batch: &mut Batch<'_, DB>, _: &Context) -> data_drip::Result {
        batch.update_all().set("role", "intern").execute().await?;
        Ok(())
    }
}

/// What is read of an employee to make the address.
#[derive(sqlx::FromRow)]
pub(crate) struct Employee {
    pub(crate) id: i64,
    pub(crate) name: String,
}

impl Employee {
    pub(crate) fn address(&self) -> String {
        format!("{}@example.com", self.name)
    }
}

without_options! {
    /// Gives every employee an address, one by one.
    AddEmail, "add_email", Loops
}

impl<DB: Loops> Backfill for AddEmail<DB> {
    type Database = DB;
    const MODE: Mode = Mode::Element;

    fn scope(&self) -> Scope<DB> {
        Scope::table("employees").filter(col("email").is_null()).columns(["id", "name"])
    }

    async fn process(&self, batch: &mut Batch<'_, DB>, _: &Context) -> data_drip::Result {
        for employee in DB::employees(batch).await? {
            DB::write_address(batch.conn(), &employee).await?;
        }
        Ok(())
    }
}

without_options! {
    /// Does nothing: all that there is to measure is the engine.
    Nothing, "nothing", Backend
}

impl<DB: Backend> Backfill for Nothing<DB> {
    type Database = DB;

    fn scope(&self) -> Scope<DB> {
        Scope::table("employees")
    }

    async fn process(&self, _: &mut Batch<'_, DB>, _: &Context) -> data_drip::Result {
        Ok(())
    }
}

without_options! {
    /// Never gets to the end of its batch in the process that is to be killed, and at once in the other.
    Hold, "hold", Backend
}

/// Set in the environment of the process that is to be killed.
pub(crate) const HOLDS: &str = "DATA_DRIP_BENCHMARK_HOLDS";

impl<DB: Backend> Backfill for Hold<DB> {
    type Database = DB;

    fn scope(&self) -> Scope<DB> {
        Scope::table("employees").filter(col("role").is_null())
    }

    async fn process(&self, batch: &mut Batch<'_, DB>, _: &Context) -> data_drip::Result {
        batch.update_all().set("role", "intern").execute().await?;
        // Not silent: the database would end a transaction of which it hears nothing.
        while std::env::var_os(HOLDS).is_some() {
            batch.conn().ping().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}
