//! A worker's own connection to MySQL: it holds a lock by name. Nobody can call there.

use std::sync::Arc;

use sqlx::mysql::{MySql, MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use crate::backend::{Call, Presence, Proof};
use crate::backfill::BoxFuture;

pub(super) async fn open(options: Arc<MySqlConnectOptions>) -> sqlx::Result<Option<Box<dyn Presence<MySql>>>> {
    let mut conn = options.connect().await?;
    // It is silent for longer than some servers like.
    conn.execute("SET SESSION wait_timeout = 600").await?;
    // Names of locks are the whole server's. Not negative, as it is a number in a table.
    let token = i64::try_from(uuid::Uuid::new_v4().as_u64_pair().0 >> 1).unwrap_or_default();
    Ok(Some(Box::new(Holding { conn, token, taken: false })))
}

struct Holding {
    conn: MySqlConnection,
    token: i64,
    taken: bool,
}

impl Holding {
    async fn ask(&mut self, question: String) -> sqlx::Result<bool> {
        let answer: Option<i64> = sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut self.conn).await?;
        Ok(answer == Some(1))
    }

    async fn try_out(&mut self) -> sqlx::Result<Proof> {
        let lock = format!("'data_drip/{}'", self.token);
        if !self.taken {
            self.taken = self.ask(format!("SELECT CAST(GET_LOCK({lock}, 0) AS SIGNED)")).await?;
        }
        // In another statement: a proxy that hands statements to several connections would take this one elsewhere.
        let own = self.ask(format!("SELECT CAST(IS_USED_LOCK({lock}) = CONNECTION_ID() AS SIGNED)")).await?;
        Ok(if own { Proof::Held } else { Proof::Void })
    }
}

impl Presence<MySql> for Holding {
    fn token(&self) -> i64 {
        self.token
    }

    fn heard(&mut self) -> BoxFuture<'_, sqlx::Result<Call>> {
        Box::pin(std::future::pending())
    }

    fn prove<'p>(&'p mut self, _: &'p mut MySqlConnection) -> BoxFuture<'p, sqlx::Result<Proof>> {
        Box::pin(self.try_out())
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // It may be gone already.
            let _ = self.conn.close().await;
        })
    }
}
