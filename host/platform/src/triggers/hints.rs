//! Hints between hosts about jobs that the sender does not take. Correctness depends on polling alone: a hint only ends
//! the pause until the next look.

use super::Runner;
use super::runner::RETRY;
use elias_store::Hints;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often this host tells the others, at most.
const HINT_PAUSE: Duration = Duration::from_millis(100);
/// How often is seen whether the runner is still there.
const CHECK: Duration = Duration::from_secs(1);

impl Runner {
    /// Tells other hosts about jobs that this host does not take, unless it has just done so.
    pub(super) fn hint_others(self: &Arc<Self>) {
        if !self.store.is_shared() || !is_due(&mut self.hinted.lock(), Instant::now()) {
            return;
        }
        let runner = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = runner.store.hint(&runner.owner).await {
                tracing::debug!(%error, "other hosts were not told of jobs; they look for some by themselves");
            }
        });
    }
}

/// Whether a hint may be sent, if the last one was at `last`; notes that it is.
fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    if last.is_some_and(|last| now.saturating_duration_since(last) < HINT_PAUSE) {
        return false;
    }
    *last = Some(now);
    true
}

/// Looks for jobs when another host hints at some.
pub(super) async fn listen(runner: Weak<Runner>) {
    loop {
        let Some(store) = runner.upgrade().map(|runner| runner.store.clone()) else { return };
        match store.hints().await {
            Ok(None) => return,
            Ok(Some(hints)) => follow(&runner, hints).await,
            Err(error) => tracing::debug!(%error, "this host gets no hints from others; retrying"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Follows hints until the connection is lost or the runner is gone.
async fn follow(runner: &Weak<Runner>, mut hints: Hints) {
    let mut checks = tokio::time::interval(CHECK);
    loop {
        let next = hints.next();
        tokio::pin!(next);
        let sender = loop {
            tokio::select! {
                sender = &mut next => break sender,
                _ = checks.tick() => {
                    if runner.strong_count() == 0 {
                        return;
                    }
                }
            }
        };
        let (Ok(sender), Some(runner)) = (sender, runner.upgrade()) else { return };
        if sender != runner.owner {
            runner.queue_changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_sent_a_bounded_number_of_times() {
        let (start, mut last) = (Instant::now(), None);
        let sent: Vec<_> = (0..1_000_u64)
            .filter(|millisecond| is_due(&mut last, start + Duration::from_millis(*millisecond)))
            .collect();
        assert_eq!(sent, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
    }
}
