//! A request's body that is read whole: by the schema of its route, or for its idempotency key.

use crate::body::RequestBody;
use crate::config::{ServerConfig, milliseconds};
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use bytes::Bytes;
use elias_gateway::{Code, idempotency};
use elias_host::ErrorCode;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::time::Duration;

/// Reads a body of at most so many bytes, and checks it by the schema of its route.
///
/// # Errors
/// The body is too slow, damaged, or not what the schema allows.
pub(super) async fn read_checked(
    exchange: &mut Exchange,
    bytes_max: usize,
    body: RequestBody<Incoming>,
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
pub(super) async fn read_keyed(exchange: &mut Exchange, body: RequestBody<Incoming>) -> Result<Bytes, Failure> {
    let whole = read(exchange, idempotency::MAX_BODY_BYTES, body).await?;
    if whole.len() > idempotency::MAX_BODY_BYTES {
        let refusal = elias_gateway::Refusal::new(Code::RequestTooLarge);
        return Err(refusal.with_detail("A request with an idempotency key must have a body of at most 1 MiB.").into());
    }
    Ok(whole)
}

/// Reads a body of at most so many bytes, and of a longer one one byte more.
async fn read(exchange: &mut Exchange, bytes_max: usize, body: RequestBody<Incoming>) -> Result<Bytes, Failure> {
    let read = Limited::new(body, bytes_max + 1).collect();
    let in_time = tokio::time::timeout(longest_time(bytes_max, exchange.config()), read);
    match in_time.await.map_err(|_| Refusal::RequestTimeout)? {
        Ok(read) => Ok(read.to_bytes()),
        Err(_) => match exchange.fault() {
            Some(fault) => Err(fault.into()),
            None => Ok(vec![0; bytes_max + 1].into()),
        },
    }
}

/// How long a client may take for a body that is read whole: the longest pause, and what the longest body takes at the
/// slowest rate. The clock of the pauses alone would let a byte a pause hold the request for hours.
fn longest_time(bytes_max: usize, config: &ServerConfig) -> Duration {
    const BYTES_PER_SECOND_MIN: u64 = 8 << 10;
    milliseconds(config.body_timeout_ms) + Duration::from_secs(bytes_max as u64 / BYTES_PER_SECOND_MIN)
}
