//! Streams of what happens, as server-sent events (HTML Living Standard, section 9.2) of which a client misses none if
//! it comes back.
//!
//! Each event has an id, which a client that comes back sends as `Last-Event-ID`: it gets what came after that, as far
//! as the host has kept it, and is told by an event `lost` how many items it has missed. Where nobody knows, since
//! another run of the host counted them, or nobody followed for so long that none were kept, the first event is
//! `reset`.

use super::confirmed::{looks, while_confirmed};
use axum::extract::FromRequestParts;
use axum::response::sse::{Event, KeepAlive, Sse};
use elias_api::Error;
use elias_platform::{Followed, Follower, Platform};
use futures::{Stream, StreamExt};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use std::convert::Infallible;

/// The id of the last event that a client has seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where a client goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// It is new.
    New,
    /// After the item at this position.
    After(u64),
    /// After an item of another run of the host, or with an id that is none of this host's.
    Unknown,
}

impl FromRequestParts<Platform> for Resumption {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, platform: &Platform) -> Result<Self, Infallible> {
        Ok(Self::of_request(&parts.headers, platform.run_id()))
    }
}

impl Resumption {
    /// Where the client of a request goes on; `run` names this run of the host.
    pub(crate) fn of_request(headers: &HeaderMap, run: &str) -> Self {
        let id = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
        id.map_or(Self::New, |id| Self::of(id, run))
    }

    fn of(id: &str, run: &str) -> Self {
        let position = id.strip_prefix(run).and_then(|rest| rest.strip_prefix(':')).and_then(|rest| rest.parse().ok());
        position.map_or(Self::Unknown, Self::After)
    }

    /// The position of the item after which it goes on.
    pub(crate) fn position(self) -> Option<u64> {
        match self {
            Self::After(position) => Some(position),
            Self::New | Self::Unknown => None,
        }
    }
}

/// The response with what a follower gets, until its client loses the permission to read it. `run` names this run of
/// the host. `event` makes an event of an item; `None` if it is not for this client. `confirm` says whether the client
/// may still read.
pub(crate) fn respond<T, E, C>(
    run: String,
    follower: Follower<T>,
    resumption: Resumption,
    event: impl Fn(T) -> E + Send + Sync + 'static,
    confirm: impl Fn() -> C + Send + Sync + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + Send>
where
    T: Clone + Send + 'static,
    E: Future<Output = Option<Event>> + Send + 'static,
    C: Future<Output = Result<(), Error>> + Send + 'static,
{
    let is_reset = resumption == Resumption::Unknown || follower.is_reset();
    let items = futures::stream::unfold((follower, event, run), |(mut follower, event, run)| async move {
        loop {
            let made = match follower.next().await? {
                Followed::Item(position, item) => event(item).await.map(|event| event.id(format!("{run}:{position}"))),
                Followed::Lost(lost) => Some(Event::default().event("lost").data(lost.to_string())),
            };
            if let Some(made) = made {
                return Some((made, (follower, event, run)));
            }
        }
    });
    let reset = is_reset.then(|| Event::default().event("reset").data("{}"));
    let events = while_confirmed(futures::stream::iter(reset).chain(items), looks(), confirm);
    let events = events.map(|event| Ok(event.unwrap_or_else(|error| end_event(&error))));
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// The last event of a stream whose client has lost its permission.
fn end_event(error: &Error) -> Event {
    let reason = serde_json::json!({ "code": error.code().as_str(), "detail": error.to_string() });
    Event::default().event("end").data(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_one_run_of_the_host() {
        for (id, wanted) in [
            ("01RUN:0", Resumption::After(0)),
            ("01RUN:17", Resumption::After(17)),
            ("01OTHER:17", Resumption::Unknown),
            ("01RUN:", Resumption::Unknown),
            ("01RUN:-1", Resumption::Unknown),
            ("", Resumption::Unknown),
        ] {
            assert_eq!(Resumption::of(id, "01RUN"), wanted, "{id}");
        }
        assert_eq!([Resumption::New, Resumption::Unknown].map(Resumption::position), [None, None]);
    }
}
