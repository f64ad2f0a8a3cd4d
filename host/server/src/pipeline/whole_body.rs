//! Reads a request's body whole: for the schema of its route, for its idempotency key, or for a service worker.

use crate::body::ReceivedBody;
use crate::config::{ServerConfig, milliseconds};
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use bytes::Bytes;
use elias_gateway::{Code, idempotency, worker};
use elias_host::ErrorCode;
use http_body::Body;
use http_body_util::{BodyExt, Collected, Limited};
use std::error::Error;
use std::time::Duration;

type BoxError = Box<dyn Error + Send + Sync>;

/// Reads a body within a bound in bytes, and checks it by the schema of its route.
///
/// # Errors
/// The body is too slow, damaged, or not what the schema allows.
pub(super) async fn read_checked(
    exchange: &mut Exchange,
    bytes_max: usize,
    body: ReceivedBody,
) -> Result<Bytes, Failure> {
    let whole = read(exchange, bytes_max, body).await?;
    let Some(transform) = &exchange.response_transform else { return Err(Refusal::Host(ErrorCode::Internal).into()) };
    transform.check_body(&whole)?;
    Ok(whole)
}

/// Reads the body of a request with an idempotency key.
///
/// # Errors
/// The body is too slow, damaged or too large.
pub(super) async fn read_keyed(exchange: &mut Exchange, body: ReceivedBody) -> Result<Bytes, Failure> {
    let detail = "A request with an idempotency key must have a body of at most 1 MiB.";
    read_at_most(exchange, idempotency::MAX_BODY_BYTES, detail, body).await
}

/// Reads the body of a request that is a message to a service worker.
///
/// # Errors
/// The body is too slow, damaged or too large.
pub(super) async fn read_message(exchange: &mut Exchange, body: ReceivedBody) -> Result<Bytes, Failure> {
    let detail = "A message to a worker must have at most 1 MiB.";
    read_at_most(exchange, worker::MAX_BODY_BYTES, detail, body).await
}

/// Reads a body of at most so many bytes; `detail` is what the client of a longer one is told.
async fn read_at_most(
    exchange: &mut Exchange,
    bytes_max: usize,
    detail: &'static str,
    body: ReceivedBody,
) -> Result<Bytes, Failure> {
    let whole = read(exchange, bytes_max, body).await?;
    if whole.len() > bytes_max {
        return Err(elias_gateway::Refusal::new(Code::RequestTooLarge).with_detail(detail).into());
    }
    Ok(whole)
}

/// Reads the body of a request whose middleware get bodies, within the bound of those.
///
/// # Errors
/// The body is too slow, damaged or too large.
pub(super) async fn read_for_middleware(
    exchange: &mut Exchange,
    bytes_max: usize,
    body: ReceivedBody,
) -> Result<Bytes, Failure> {
    let whole = read(exchange, bytes_max, body).await?;
    if whole.len() > bytes_max {
        let refusal = elias_gateway::Refusal::new(Code::RequestTooLarge);
        return Err(refusal.with_detail(format!("The body must have at most {bytes_max} bytes.")).into());
    }
    Ok(whole)
}

/// Reads a body of at most so many bytes, and of a longer one one byte more.
async fn read(exchange: &mut Exchange, bytes_max: usize, body: ReceivedBody) -> Result<Bytes, Failure> {
    match collect(body, bytes_max + 1, longest_time(bytes_max, exchange.config())).await {
        None => Err(Refusal::RequestTimeout.into()),
        Some(Ok(whole)) => Ok(whole),
        Some(Err(_)) => match exchange.fault() {
            Some(fault) => Err(fault.into()),
            None => Ok(vec![0; bytes_max + 1].into()),
        },
    }
}

/// The whole of a body of at most so many bytes; none if it takes longer than `longest`, however steadily it comes.
async fn collect<B>(body: B, bytes_max: usize, longest: Duration) -> Option<Result<Bytes, BoxError>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let whole = Limited::new(body, bytes_max).collect();
    let in_time = tokio::time::timeout(longest, whole).await.ok()?;
    Some(in_time.map(Collected::to_bytes))
}

/// How long a client may take for a body that is read whole: the longest pause, and what the longest body takes at the
/// slowest rate. The clock of the pauses alone would let a byte a pause hold the request for hours.
fn longest_time(bytes_max: usize, config: &ServerConfig) -> Duration {
    const BYTES_PER_SECOND_MIN: u64 = 8 << 10;
    milliseconds(config.body_timeout_ms) + Duration::from_secs(bytes_max as u64 / BYTES_PER_SECOND_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;

    const HOUR: Duration = Duration::from_secs(3600);

    /// The body of a client that sends a byte now and then and never ends.
    fn trickle() -> impl Body<Data = Bytes, Error = Infallible> {
        StreamBody::new(futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))), ()))
        }))
    }

    #[tokio::test]
    async fn a_body_that_never_pauses_and_never_ends_is_given_up() {
        // Without a bound of the whole this would not return: no pause is too long, and the bytes are few.
        assert!(collect(trickle(), 1 << 30, Duration::from_millis(20)).await.is_none());
        // What is longer than allowed ends by its length first.
        assert!(collect(trickle(), 3, HOUR).await.is_some_and(|ended| ended.is_err()));
        let whole = collect(Full::new(Bytes::from_static(b"abc")), 3, HOUR).await;
        assert_eq!(whole.and_then(Result::ok), Some(Bytes::from_static(b"abc")));
    }

    #[test]
    fn a_longer_body_has_more_time_and_none_has_much() {
        let config = ServerConfig { body_timeout_ms: 30_000, ..ServerConfig::default() };
        assert_eq!(longest_time(0, &config), Duration::from_secs(30));
        assert_eq!(longest_time(1 << 20, &config), Duration::from_secs(30 + 128));
    }
}
