//! A request's body that is read whole, and checked by the schema of its route.

use crate::body::RequestBody;
use crate::config::{ServerConfig, milliseconds};
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use bytes::Bytes;
use elias_host::ErrorCode;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::time::Duration;

/// Reads a body of at most so many bytes.
///
/// # Errors
/// The body is too slow, damaged, or not what the schema allows.
pub(super) async fn read(
    exchange: &mut Exchange,
    bytes_max: usize,
    body: RequestBody<Incoming>,
) -> Result<Bytes, Failure> {
    // One byte more, so that the rules see that there are too many.
    let read = Limited::new(body, bytes_max + 1).collect();
    let in_time = tokio::time::timeout(longest_time(bytes_max, exchange.config()), read);
    let whole = match in_time.await.map_err(|_| Refusal::RequestTimeout)? {
        Ok(read) => read.to_bytes(),
        Err(_) => match exchange.fault() {
            Some(fault) => return Err(fault.into()),
            None => vec![0; bytes_max + 1].into(),
        },
    };
    let Some(transform) = &exchange.response_transform else { return Err(Refusal::Host(ErrorCode::Internal).into()) };
    transform.check_body(&whole)?;
    Ok(whole)
}

/// How long a client may take for a body that is read whole: the longest pause, and what the longest body takes at the
/// slowest rate. The clock of the pauses alone would let a byte a pause hold the request for hours.
fn longest_time(bytes_max: usize, config: &ServerConfig) -> Duration {
    const BYTES_PER_SECOND_MIN: u64 = 8 << 10;
    milliseconds(config.body_timeout_ms) + Duration::from_secs(bytes_max as u64 / BYTES_PER_SECOND_MIN)
}
