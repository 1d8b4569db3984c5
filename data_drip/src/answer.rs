//! Answers of the database that may never come.
//!
//! A network can lose a connection without telling anybody: a firewall forgets it, a machine is gone. Whoever waits for an
//! answer on it waits for as long as the kernel tries to get through, a quarter of an hour, or for ever.

use std::future::Future;
use std::time::Duration;

use sqlx::Pool;

use crate::backend::Backend;

/// The answer, or an error of the network when none comes in time. The connection is then good for nothing but to be
/// closed: the answer may still come, and would be taken for that to another question.
///
/// A file is always there, and who waits for one waits for others to be done with it: there, this waits.
pub(crate) async fn within<DB: Backend, T>(
    patience: Duration,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    if DB::MAX_SLOTS == Some(1) {
        return answer.await;
    }
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| Err(unanswered()))
}

pub(crate) fn unanswered() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer"))
}

/// Whether the connection may go on after this error: the database has answered, and the answer was no.
pub(crate) fn is_answer(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_))
}

/// Whether the database has answered no, and would again: it does not take what it was given.
pub(crate) fn is_refusal<DB: Backend>(error: &sqlx::Error) -> bool {
    is_answer(error) && !DB::is_transient(error)
}

/// Asks something on a connection of the pool. When no answer comes, the connection is closed: given back, it would be waited
/// for, and the pool has few.
macro_rules! ask {
    ($pool:expr, $patience:expr, |$conn:ident| $work:expr) => {{
        let patience = $patience;
        let mut lent = $crate::lent::Lent::<DB>::from($pool.acquire().await?);
        let answer = {
            let $conn = &mut *lent;
            $crate::answer::within::<DB, _>(patience, $work).await
        };
        if answer.as_ref().is_err_and(|error| !$crate::answer::is_answer(error)) {
            lent.close();
        } else if tokio::time::timeout(patience, lent.give_back()).await.is_err() {
            tracing::debug!("a connection that fell silent while it was given back is closed");
        }
        answer
    }};
}
pub(crate) use ask;

/// Writes something under this task's turn, where the database has one writer. On the connections that are kept for that:
/// whoever has the turn must not wait for one that a walk has.
macro_rules! ask_in_turn {
    ($engine:expr, |$conn:ident| $work:expr) => {{
        let _turn = $engine.turn().await;
        $crate::answer::ask!($engine.writing, $engine.patience(), |$conn| $work)
    }};
}
pub(crate) use ask_in_turn;

/// How long connections are waited for that are in use when their pool closes.
const CLOSING: Duration = Duration::from_secs(10);

/// Closes a pool. A connection that is lost without a word would keep it from closing for ever.
pub(crate) async fn close<DB: Backend>(pool: &Pool<DB>) {
    let closed = async {
        pool.close().await;
        Ok(())
    };
    if let Err(error) = within::<DB, _>(CLOSING, closed).await {
        tracing::debug!(%error, "a connection is left behind");
    }
}
