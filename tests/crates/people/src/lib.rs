//! Backfills in a crate that allows itself nothing: what the macros emit must live with that.
#![forbid(unsafe_code, missing_docs, unused, unreachable_pub)]
#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(missing_debug_implementations, missing_copy_implementations, trivial_casts, unused_qualifications)]
#![deny(unused_results, single_use_lifetimes, elided_lifetimes_in_paths)]

use data_drip::sqlite::prelude::*;

mod nested {
    mod deeper {
        use data_drip::sqlite::prelude::*;

        /// Nobody can name this one from outside, and it is registered all the same.
        #[backfill(name = "hidden_people")]
        #[derive(Clone, Copy, Debug)]
        struct Hidden;

        #[backfill]
        impl Hidden {
            fn scope(&self) -> Scope {
                Scope::table("people")
            }

            async fn process_batch(&self, batch: &mut Batch<'_>) -> data_drip::Result {
                let _ = batch.update_all().set("seen", true).execute().await?;
                Ok(())
            }
        }
    }
}

/// Which name counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionEnum)]
pub enum Name {
    /// The first one.
    First,
    /// The last one.
    Last,
}

/// Gives people a role.
#[backfill(batch_size = 500, sleep = "1ms")]
#[derive(Clone, Debug)]
pub struct GiveRole {
    /// What they become.
    pub role: String,
    /// Which name is looked at.
    #[option(default = Name::Last)]
    pub name: Name,
    /// At least this old.
    #[option(default = 18, min = 0, max = 150)]
    pub age: i64,
    #[option(masked)]
    token: Option<String>,
}

#[backfill]
impl GiveRole {
    /// For those who build it in code.
    #[must_use]
    pub const fn new(role: String) -> Self {
        Self { role, name: Name::First, age: 18, token: None }
    }

    fn scope(&self) -> Scope {
        Scope::table("people").filter(col("age").gte(self.age)).filter(col("role").is_null())
    }

    async fn process_element(&self, (id,): (i64,), conn: &mut Connection, run: &Run) -> Result<(), sqlx::Error> {
        let _ = run.id;
        let update = sqlx::query("UPDATE people SET role = ? WHERE id = ?").bind(&self.role).bind(id);
        let _ = update.execute(conn).await?;
        Ok(())
    }

    async fn on_run_completed(&self, run: &Run) -> data_drip::Result {
        if run.options.is_empty() { Err("options are gone".into()) } else { Ok(()) }
    }
}
