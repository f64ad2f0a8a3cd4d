//! Files of a version, served in the component's place.

use crate::error_page::Failure;
use crate::refusal::Refusal;
use crate::response_body::Content;
use elias_gateway::AssetResponse;
use elias_host::Error;
use elias_names::Digest;
use elias_platform::Platform;
use futures::{StreamExt, TryStreamExt};
use http::Response;
use std::fmt::Write;

/// The answer that the gateway decided on, with the bytes.
pub(crate) async fn answer(platform: &Platform, asset: AssetResponse) -> Result<Response<Content>, Failure> {
    let (status, headers, content) = match asset {
        AssetResponse::Refused(refusal) => return Err(Failure::Gateway(Box::new(refusal))),
        AssetResponse::Empty { status, headers } => (status, headers, Content::Empty),
        AssetResponse::Bytes { status, headers, body: false, .. } => (status, headers, Content::Empty),
        AssetResponse::Bytes { status, headers, digest, range, body: true } => {
            let bytes = range.end.saturating_sub(range.start);
            let chunks = platform.artifacts().stream(&hex(digest)?, range).await.map_err(|error| {
                tracing::error!(%error, "a static file cannot be read");
                Failure::Refused(Refusal::Unavailable)
            })?;
            let chunks = chunks.map_err(|error| Error::io(format!("a static file cannot be read: {error}")));
            (status, headers, Content::File { chunks: chunks.boxed(), left: bytes })
        }
    };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn hex(digest: [u8; 32]) -> Result<Digest, Failure> {
    let text = digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    });
    text.parse().map_err(|_| Refusal::Internal.into())
}
