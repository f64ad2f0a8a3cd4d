//! Files of a version, served in the component's place.

use crate::error_page::Failure;
use crate::refusal::Refusal;
use crate::response_body::Content;
use elias_gateway::AssetAnswer;
use elias_platform::Platform;
use elias_platform::name::Digest;
use http::Response;
use std::fmt::Write;

/// The answer that the gateway decided on, with the bytes.
pub(crate) async fn answer(platform: &Platform, asset: AssetAnswer) -> Result<Response<Content>, Failure> {
    let (status, headers, content) = match asset {
        AssetAnswer::Refused(refusal) => return Err(Failure::Gateway(Box::new(refusal))),
        AssetAnswer::Empty { status, headers } => (status, headers, Content::Empty),
        AssetAnswer::Bytes { status, headers, body: false, .. } => (status, headers, Content::Empty),
        AssetAnswer::Bytes { status, headers, digest, range, body: true } => {
            let bytes = platform.artifacts().get(&hex(digest)?).await.map_err(|error| {
                tracing::error!(%error, "an asset cannot be read");
                Failure::Refused(Refusal::Unavailable)
            })?;
            let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
            let (Ok(start), Ok(end)) = (start, end) else { return Err(Refusal::Internal.into()) };
            if end > bytes.len() || start > end {
                return Err(Refusal::Internal.into());
            }
            (status, headers, Content::Page(bytes.slice(start..end)))
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
