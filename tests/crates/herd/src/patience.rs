//! Waiting for something that shows, with a bound.

use std::time::{Duration, Instant};

/// How long anything may take that is to come. Far more than it does take, for machines with other things to do.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// Looks again and again until it holds.
///
/// # Panics
/// When it does not in time: `what` was waited for.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
