//! Panics of user code, caught and turned into failures.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

use crate::backfill::BoxFuture;
use crate::error::{Failure, Result};

/// Runs user code; a panic becomes a [`Failure`] that carries its message.
pub(crate) struct Caught<'a>(BoxFuture<'a, Result>);

/// Wraps a future of user code. `make` is guarded too: a hand-written impl may panic before its first poll.
pub(crate) fn caught<'a>(make: impl FnOnce() -> BoxFuture<'a, Result>) -> Caught<'a> {
    // The state that user code shared is given up with the batch's transaction: nothing broken is looked at again.
    Caught(watched(|| catch_unwind(AssertUnwindSafe(make))).unwrap_or_else(|panic| {
        let failure = failure(&*panic);
        Box::pin(std::future::ready(Err(failure)))
    }))
}

impl Future for Caught<'_> {
    type Output = Result;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result> {
        match watched(|| catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx)))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(failure(&*panic))),
        }
    }
}

/// Runs user code that is not async; `what` says which in the message.
pub(crate) fn caught_now<T>(what: &str, work: impl FnOnce() -> T) -> Result<T> {
    watched(|| catch_unwind(AssertUnwindSafe(work)))
        .map_err(|panic| Failure::from(format!("{what} panicked: {}", message(&*panic))).at(PLACE.take()))
}

fn failure(panic: &(dyn Any + Send)) -> Failure {
    Failure::from(format!("panicked: {}", message(panic))).at(PLACE.take())
}

thread_local! {
    /// Whether user code runs on this thread.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// Where it panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs user code with its panics' places noted.
fn watched<T>(work: impl FnOnce() -> T) -> T {
    /// Also when `work` unwinds.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            WATCHED.set(self.0);
        }
    }
    listen();
    let _before = Before(WATCHED.replace(true));
    work()
}

/// Only a panic hook is told the place. Ours notes it for user code that we run, and calls the one before it in any case;
/// a host that replaces it afterwards loses the places and nothing else.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if WATCHED.try_with(Cell::get).unwrap_or(false) {
                let place = info.location().map(ToString::to_string);
                let _ = PLACE.try_with(|noted| *noted.borrow_mut() = place);
            }
            before(info);
        }));
    });
}

/// The text of a panic, where it has one.
fn message(panic: &(dyn Any + Send)) -> &str {
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
    async fn a_panic_keeps_its_place() {
        let line = line!() + 1;
        let failure = caught(|| Box::pin(async { panic!("row {}", 7) })).await.unwrap_err();
        let report = crate::error::Report::read(&failure.report());
        assert_eq!(report.message, "panicked: row 7");
        assert!(report.place.unwrap().starts_with(&format!("{}:{line}:", file!())));
        // What panicked before and was not ours is not taken for it.
        let _ = catch_unwind(|| panic!("not user code"));
        let failure = caught(|| Box::pin(async { Err("no".into()) })).await.unwrap_err();
        assert_eq!(failure.report(), "no");
    }

    #[tokio::test]
    async fn what_does_not_panic_passes_through() {
        assert!(caught(|| Box::pin(async { Ok(()) })).await.is_ok());
        assert_eq!(caught(|| Box::pin(async { Err("no".into()) })).await.unwrap_err().to_string(), "no");
    }
}
