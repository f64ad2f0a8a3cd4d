//! Transforms JSON responses by the jq program of their route. A JSON response that cannot be transformed is not sent.

use crate::body::Content;
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use crate::limits::BYTES_UNCOUNTED;
use bytes::{Bytes, BytesMut};
use elias_gateway::ResponseTransform;
use elias_gateway::response_transform::MAX_RESPONSE_BYTES;
use elias_host::ErrorCode;
use elias_names::TenantId;
use http::Response;
use http_body_util::BodyExt;
use std::sync::Arc;

/// Memory is reserved for so many bytes at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The host has no memory or no thread for a transformation now.
const OVERLOADED: Refusal = Refusal::Host(ErrorCode::Overloaded);

/// The response in place of a component's. With `is_head` it is sent without content, and without its length, which is
/// not known.
///
/// # Errors
/// It cannot be transformed; the host has no memory or no thread for it now; or the component broke its content off.
pub(super) async fn apply(
    exchange: &mut Exchange,
    transform: &Arc<ResponseTransform>,
    response: Response<Content>,
    tenant: Option<&TenantId>,
    is_head: bool,
) -> Result<Response<Content>, Failure> {
    let (mut parts, content) = response.into_parts();
    if !transform.applies(&parts)? {
        transform.adapt_response(&mut parts, false, None);
        return Ok(Response::from_parts(parts, content));
    }
    if is_head {
        transform.adapt_response(&mut parts, true, None);
        return Ok(Response::from_parts(parts, Content::Empty));
    }
    if content.bytes().is_some_and(|bytes| bytes > MAX_RESPONSE_BYTES as u64) {
        return Err(ResponseTransform::too_large().into());
    }
    // What has a known length is there already, and counted.
    let (is_counted, scopes) = (content.bytes().is_some(), exchange.scopes());
    let reserve = |bytes| if is_counted { Some(None) } else { scopes.reserve_buffer(bytes).map(Some) };
    let (bytes, memory) = read(content, reserve).await?;
    let server = Arc::clone(&exchange.connection.server);
    let permit = server.transforms.enter(tenant).await.ok_or(OVERLOADED)?;
    let program = Arc::clone(transform);
    let transformed = tokio::task::spawn_blocking(move || {
        let transformed = program.run(&bytes);
        drop(permit); // also if nobody waits any more
        transformed
    });
    let text = transformed.await.map_err(|_| Failure::from(Refusal::Host(ErrorCode::Internal)))??;
    drop(memory);
    exchange.buffer_bytes(text.len() as u64);
    transform.adapt_response(&mut parts, true, Some(text.len()));
    Ok(Response::from_parts(parts, Content::Whole(text.into())))
}

/// The whole of a component's content, without trailers, and what `reserve` gave for its bytes: the client does not get
/// any yet.
async fn read<R>(mut content: Content, reserve: impl Fn(u64) -> Option<R>) -> Result<(Bytes, Vec<R>), Failure> {
    let (mut bytes, mut room, mut memory) = (BytesMut::new(), BYTES_UNCOUNTED as usize, Vec::new());
    while let Some(frame) = content.frame().await {
        if let Some(data) = frame.map_err(Failure::Component)?.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > MAX_RESPONSE_BYTES {
            return Err(ResponseTransform::too_large().into());
        }
        while room < bytes.len() {
            memory.push(reserve(PIECE_BYTES as u64).ok_or(OVERLOADED)?);
            room += PIECE_BYTES;
        }
    }
    Ok((bytes.freeze(), memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn content_is_read_up_to_the_bound_and_as_long_as_there_is_memory() {
        let chunks = |count: usize| {
            Content::stream(futures::stream::iter((0..count).map(|_| Ok(Bytes::from(vec![b'x'; 1 << 18])))))
        };
        let code = |read: Result<(Bytes, Vec<()>), Failure>| read.err().map(|failure| failure.code());
        let (bytes, memory) = read(chunks(4), Some).await.ok().expect("it is within the bound");
        assert_eq!((bytes.len(), memory.iter().sum::<u64>()), (MAX_RESPONSE_BYTES, MAX_RESPONSE_BYTES as u64));
        assert_eq!(code(read(chunks(5), |_| Some(())).await), Some("response-not-transformed"));
        assert_eq!(code(read(chunks(1), |_| None).await), Some("overloaded"));
        let nothing = read(Content::Empty, |_| None::<()>).await.ok().expect("there is nothing to keep");
        assert!(nothing.0.is_empty() && nothing.1.is_empty());
    }
}
