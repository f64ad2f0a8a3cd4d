//! Streams that end when their reader loses the permission to read them.
//!
//! A response that may go on for long is made of [`while_confirmed`], whatever is in it. What is asked is the store: a
//! token that was revoked on another host is known there within the time that it takes to ask.

use elias_api::Error;
use elias_platform::access::CONFIRMED_FOR;
use futures::{Stream, StreamExt};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often the permission of a client that reads a stream is confirmed.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);

/// A revocation on any host ends a stream within a second: what was confirmed last may be as old as it may be, and is
/// asked for again after this time.
const _: () = assert!(CONFIRM_EVERY.as_millis() + CONFIRMED_FOR.as_millis() < 1_000);

/// When permissions are confirmed: at once, and then time and again.
pub(super) fn looks() -> impl Stream<Item = ()> + Send {
    let mut interval = tokio::time::interval(CONFIRM_EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    futures::stream::unfold(interval, |mut interval| async move {
        interval.tick().await;
        Some(((), interval))
    })
}

/// The items of `source`, until it ends, or `confirm` fails at one of `looks`: with that error it ends.
pub(super) fn while_confirmed<S, C>(
    source: S,
    looks: impl Stream<Item = ()> + Send,
    confirm: impl Fn() -> C + Send + Sync,
) -> impl Stream<Item = Result<S::Item, Error>> + Send
where
    S: Stream<Item: Send> + Send,
    C: Future<Output = Result<(), Error>> + Send,
{
    let state = (Box::pin(source), Box::pin(looks), confirm);
    futures::stream::unfold(Some(state), |state| async move {
        let (mut source, mut looks, confirm) = state?;
        loop {
            tokio::select! {
                // A source that never rests must not keep its reader from being looked at.
                biased;
                Some(()) = looks.next() => {
                    if let Err(error) = confirm().await {
                        return Some((Err(error), None));
                    }
                }
                item = source.next() => return Some((Ok(item?), Some((source, looks, confirm)))),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::Code;
    use futures::channel::mpsc;
    use std::future::ready;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn a_stream_ends_at_the_first_look_after_the_permission_is_gone() {
        // A source that always has something, and one that never has.
        for source in [futures::stream::repeat(1).boxed(), futures::stream::pending().boxed()] {
            let (clock, looks) = mpsc::unbounded();
            let allowed = AtomicBool::new(true);
            let confirm = || ready(if allowed.load(Ordering::Relaxed) { Ok(()) } else { Err(refused()) });
            let mut stream = Box::pin(while_confirmed(source, looks, confirm));
            clock.unbounded_send(()).expect("it is read");
            let first = futures::poll!(stream.next());
            assert!(matches!(first, std::task::Poll::Pending | std::task::Poll::Ready(Some(Ok(1)))), "{first:?}");
            // Nobody has looked yet.
            allowed.store(false, Ordering::Relaxed);
            let second = futures::poll!(stream.next());
            assert!(matches!(second, std::task::Poll::Pending | std::task::Poll::Ready(Some(Ok(1)))), "{second:?}");
            clock.unbounded_send(()).expect("it is read");
            let ended = stream.next().await.expect("the reason").expect_err("nothing more is given");
            assert_eq!(ended.code(), Code::Unauthenticated);
            assert!(stream.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_source() {
        let confirm = || ready(Ok(()));
        let mut stream = Box::pin(while_confirmed(futures::stream::iter([1, 2]), futures::stream::pending(), confirm));
        assert_eq!(stream.next().await.map(Result::ok), Some(Some(1)));
        assert_eq!(stream.next().await.map(Result::ok), Some(Some(2)));
        assert!(stream.next().await.is_none());
    }

    fn refused() -> Error {
        Error::new(Code::Unauthenticated, "it was revoked")
    }
}
