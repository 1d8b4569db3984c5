//! What the conductor's processes have in common: how they are asked to end.

use std::io::Read;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Resolves when this process is asked to end, by a signal, or because whoever has started it is gone.
pub(crate) async fn asked_to_end() {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    let (gone, starter) = oneshot::channel();
    // A thread that nobody waits for: whatever it reads from may never end.
    std::thread::spawn(move || {
        // Nothing is ever written to it: this is its end.
        let _ = std::io::stdin().read(&mut [0]);
        let _ = gone.send(());
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = starter => {}
    }
}
