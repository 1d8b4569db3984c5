//! Connections for the engine's own transactions, within bounds on the host's connections too.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::Pool;
use sqlx::pool::PoolConnection;

use crate::backend::Backend;
use crate::core::Link;

/// How long nothing may be heard of a process in the middle of such a transaction, which may hold a run's row.
const SILENCE: Duration = Duration::from_secs(10);

/// A connection for a transaction of the engine's own. Where the bounds of that are settings of the session, those are in force
/// as long as this lives; dropped in the middle, it is closed, so that nobody else meets them.
pub(crate) enum Lent<DB: Backend> {
    /// The transaction brings its bounds along, or the connection has them from its opening on.
    Plain(PoolConnection<DB>),
    /// Set for this time only.
    Bound(Link<DB>),
}

impl<DB: Backend> Lent<DB> {
    /// One of the host's.
    pub(crate) async fn of(pool: &Pool<DB>) -> sqlx::Result<Self> {
        if !DB::SETS_SESSIONS {
            return Ok(Self::Plain(pool.acquire().await?));
        }
        let mut link = Link::acquire(pool).await?;
        let (conn, session) = link.parts();
        DB::bound(conn, session, SILENCE).await?;
        Ok(Self::Bound(link))
    }

    /// Gives it back as it was.
    pub(crate) async fn give_back(self) {
        if let Self::Bound(link) = self {
            link.release().await;
        }
    }

    /// The same, unless the database has not answered: then nobody knows what state it is in.
    pub(crate) async fn after<T>(self, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
        if matches!(outcome, Ok(_) | Err(sqlx::Error::Database(_))) {
            self.give_back().await;
        }
        outcome
    }

    pub(crate) fn close(self) {
        match self {
            Self::Plain(mut conn) => conn.close_on_drop(),
            Self::Bound(link) => link.discard(),
        }
    }
}

impl<DB: Backend> From<PoolConnection<DB>> for Lent<DB> {
    fn from(conn: PoolConnection<DB>) -> Self {
        Self::Plain(conn)
    }
}

impl<DB: Backend> Deref for Lent<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        match self {
            Self::Plain(conn) => conn,
            Self::Bound(link) => link,
        }
    }
}

impl<DB: Backend> DerefMut for Lent<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        match self {
            Self::Plain(conn) => conn,
            Self::Bound(link) => link,
        }
    }
}

/// The pool that a worker keeps its books with.
pub(crate) struct Books<DB: Backend> {
    pool: Pool<DB>,
    /// It is the host's.
    shared: bool,
}

impl<DB: Backend> Books<DB> {
    pub(crate) fn new(pool: Pool<DB>, shared: bool) -> Self {
        Self { pool, shared }
    }

    pub(crate) async fn acquire(&self) -> sqlx::Result<Lent<DB>> {
        if self.shared { Lent::of(&self.pool).await } else { Ok(self.pool.acquire().await?.into()) }
    }
}

impl<DB: Backend> Deref for Books<DB> {
    type Target = Pool<DB>;

    fn deref(&self) -> &Pool<DB> {
        &self.pool
    }
}
