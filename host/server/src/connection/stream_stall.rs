//! Slow consumers in HTTP/2.
//!
//! A client that opens no flow-control window stalls its stream without stalling the socket, and hyper does not ask the
//! body for anything meanwhile. So the task of each stream has a clock: it starts when the body has handed out a piece
//! and stops when the body is asked for the next one. The body tells the task through a thread-local, since hyper
//! stands between the two.

use hyper::rt::Executor;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// The result of polling a response's body last while its stream was polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyPoll {
    /// It was not polled.
    None,
    /// It had nothing to give: the component is slow, not the client.
    Pending,
    /// It gave a piece that the client now has to take.
    Ready,
}

thread_local! {
    static LAST_POLL: Cell<BodyPoll> = const { Cell::new(BodyPoll::None) };
}

/// Called by the body of an HTTP/2 response when it was polled.
pub(crate) fn note_body_poll(poll: BodyPoll) {
    LAST_POLL.set(poll);
}

/// Runs HTTP/2 streams, each on a task of its own and no longer than its client keeps taking what it gets.
#[derive(Clone)]
pub(crate) struct StreamExecutor {
    /// The longest time for one piece.
    pub(crate) timeout: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(unless_stalled(stream, self.timeout));
    }
}

/// Polls `stream` to its end, or drops it, which resets it, when a piece was not taken in time.
async fn unless_stalled(stream: impl Future<Output = ()>, timeout: Duration) {
    let mut stream = pin!(stream);
    let mut clock: Option<Pin<Box<Sleep>>> = None;
    let mut running = false;
    poll_fn(|cx| {
        LAST_POLL.set(BodyPoll::None);
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match LAST_POLL.replace(BodyPoll::None) {
            BodyPoll::None => {}
            BodyPoll::Pending => running = false,
            BodyPoll::Ready => {
                running = true;
                match &mut clock {
                    Some(clock) => clock.as_mut().reset(Instant::now() + timeout),
                    None => clock = Some(Box::pin(sleep(timeout))),
                }
            }
        }
        match &mut clock {
            Some(clock) if running => clock.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    /// A stream whose body is `polled` once and then never again; it ends when it is ended.
    fn stream(polled: BodyPoll) -> impl Future<Output = ()> {
        let mut first = true;
        let stream = poll_fn(move |_| {
            if std::mem::take(&mut first) {
                note_body_poll(polled);
            }
            Poll::Pending
        });
        unless_stalled(stream, Duration::from_millis(1))
    }

    #[tokio::test]
    async fn ends_a_stream_whose_client_takes_nothing_and_leaves_one_whose_guest_is_slow() {
        let mut waited = pin!(stream(BodyPoll::Pending));
        let mut idle = pin!(stream(BodyPoll::None));
        assert!(futures::poll!(waited.as_mut()).is_pending());
        assert!(futures::poll!(idle.as_mut()).is_pending());
        stream(BodyPoll::Ready).await;
        // It began last: a clock of one of the others would have run out before.
        assert!(futures::poll!(waited).is_pending(), "its guest is slow, not its client");
        assert!(futures::poll!(idle).is_pending(), "its body was not asked for anything");
    }
}
