//! The end of a server: the signals that ask for it, and what it cost.

use crate::logging;
use elias_server::DrainReport;

/// Warns of connections that were closed before their requests had ended.
pub(crate) fn warn_of_cut(drained: &DrainReport) {
    if drained.cut > 0 {
        tracing::warn!(
            connections = drained.cut,
            "connections were forcibly closed at the end of the shutdown grace period"
        );
    }
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once.
pub(crate) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be handled; the process can only be stopped with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutting down: requests in flight can finish, new ones are refused; a second signal stops at once");
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        logging::flush();
        std::process::exit(130);
    });
}
