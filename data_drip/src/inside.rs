//! Whether the caller stands inside a batch: its own transaction would wait for the one that it is lent, and that one for
//! the caller.

use std::future::Future;

use crate::error::{Error, ErrorKind};

tokio::task_local! {
    static INSIDE: ();
}

/// Runs user code that was lent a transaction.
pub(crate) async fn inside<W: Future>(work: W) -> W::Output {
    INSIDE.scope((), work).await
}

/// Refuses, inside a batch, what begins a transaction of its own. On databases where it could work it would not be undone
/// with the batch, and be done again with the next attempt.
pub(crate) fn refuse_inside(what: &str, instead: &str) -> Result<(), Error> {
    if INSIDE.try_with(|()| ()).is_err() {
        return Ok(());
    }
    let message = format!(
        "{what} from inside a batch (or `before_run`) would wait for the batch's own transaction, and that one for it: \
         {instead}"
    );
    Err(Error::new(ErrorKind::Configuration, message))
}
