//! Panics of user code, caught and turned into failures.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::backfill::BoxFuture;
use crate::error::{Failure, Result};

/// Runs user code; a panic becomes a [`Failure`] that carries its message.
pub(crate) struct Caught<'a>(BoxFuture<'a, Result>);

/// Wraps a future of user code. `make` is guarded too: a hand-written impl may panic before its first poll.
pub(crate) fn caught<'a>(make: impl FnOnce() -> BoxFuture<'a, Result>) -> Caught<'a> {
    // The state that user code shared is given up with the batch's transaction: nothing broken is looked at again.
    Caught(catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|panic| {
        let failure = failure(&*panic);
        Box::pin(std::future::ready(Err(failure)))
    }))
}

impl Future for Caught<'_> {
    type Output = Result;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(failure(&*panic))),
        }
    }
}

fn failure(panic: &(dyn Any + Send)) -> Failure {
    Failure::from(format!("panicked: {}", message(panic)))
}

/// The text of a panic, where it has one.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_failure_with_its_message() {
        let failure = caught(|| Box::pin(async { panic!("row {}", 7) })).await.unwrap_err();
        assert_eq!(failure.to_string(), "panicked: row 7");
        let early = caught(|| panic!("before the first poll")).await.unwrap_err();
        assert_eq!(early.to_string(), "panicked: before the first poll");
    }

    #[tokio::test]
    async fn what_does_not_panic_passes_through() {
        assert!(caught(|| Box::pin(async { Ok(()) })).await.is_ok());
        assert_eq!(caught(|| Box::pin(async { Err("no".into()) })).await.unwrap_err().to_string(), "no");
    }
}
