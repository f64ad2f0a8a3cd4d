//! The transformation of JSON responses by the jq program of their route. What is JSON and cannot be transformed is not
//! sent.

use crate::body::Content;
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use bytes::{Bytes, BytesMut};
use elias_gateway::ResponseTransform;
use elias_gateway::response_transform::MAX_RESPONSE_BYTES;
use elias_host::ErrorCode;
use elias_names::TenantId;
use http::Response;
use http_body_util::BodyExt;
use std::sync::Arc;

/// The response in the place of a component's. `is_head`: it is sent without content, whose length nobody knows.
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
    // What the client does not get yet waits in memory.
    let bytes_max = content.bytes().unwrap_or(MAX_RESPONSE_BYTES as u64);
    if bytes_max > MAX_RESPONSE_BYTES as u64 {
        return Err(ResponseTransform::too_large().into());
    }
    let overloaded = || Failure::from(Refusal::Host(ErrorCode::Overloaded));
    let memory = exchange.reserve_buffer(bytes_max).ok_or_else(overloaded)?;
    let bytes = read(content).await?;
    let server = Arc::clone(&exchange.connection.server);
    let permit = server.transforms.enter(tenant).await.ok_or_else(overloaded)?;
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

/// The whole of a component's content. Trailers are left out.
async fn read(mut content: Content) -> Result<Bytes, Failure> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = content.frame().await {
        if let Some(data) = frame.map_err(Failure::Component)?.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > MAX_RESPONSE_BYTES {
            return Err(ResponseTransform::too_large().into());
        }
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn content_is_read_up_to_the_bound() {
        let chunks = |count: usize| {
            Content::stream(futures::stream::iter((0..count).map(|_| Ok(Bytes::from(vec![b'x'; 1 << 18])))))
        };
        assert_eq!(read(chunks(4)).await.ok().map(|bytes| bytes.len()), Some(MAX_RESPONSE_BYTES));
        match read(chunks(5)).await {
            Err(failure) => assert_eq!(failure.code(), "response-not-transformed"),
            Ok(bytes) => panic!("{} bytes", bytes.len()),
        }
        assert!(read(Content::Empty).await.is_ok_and(|bytes| bytes.is_empty()));
    }
}
