//! Files of a version, served in the component's place.

use crate::body::Content;
use crate::failure::{Failure, Refusal};
use bytes::Bytes;
use elias_gateway::AssetResponse;
use elias_host::{Error, ErrorCode};
use elias_names::Digest;
use elias_platform::Platform;
use futures::{Stream, TryStreamExt};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use std::fmt::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The response that the gateway decided on, with the bytes.
pub(crate) async fn respond(platform: &Platform, asset: AssetResponse) -> Result<Response<Content>, Failure> {
    let (status, headers, content) = match asset {
        AssetResponse::Refused(refusal) => return Err(refusal.into()),
        AssetResponse::Empty { status, headers } => (status, headers, Content::Empty),
        AssetResponse::Bytes { status, headers, body: false, .. } => (status, headers, Content::Empty),
        AssetResponse::Bytes { status, headers, digest, range, body: true } => {
            let bytes = range.end.saturating_sub(range.start);
            let chunks = platform.artifacts().stream(&hex(digest)?, range).await.map_err(|error| {
                tracing::error!(%error, "a static file cannot be read");
                Failure::Refused(Refusal::Unavailable)
            })?;
            let chunks = chunks.map_err(|error| Error::io(format!("a static file cannot be read: {error}")));
            (status, headers, Content::boxed(FileBody { chunks, left_bytes: bytes }))
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
    text.parse().map_err(|_| Refusal::Host(ErrorCode::Internal).into())
}

/// A file, as it is read. Its length is known.
struct FileBody<S> {
    chunks: S,
    left_bytes: u64,
}

impl<S: Stream<Item = Result<Bytes, Error>> + Unpin> Body for FileBody<S> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let chunk = ready!(Pin::new(&mut self.chunks).poll_next(cx));
        if let Some(Ok(chunk)) = &chunk {
            self.left_bytes = self.left_bytes.saturating_sub(chunk.len() as u64);
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}
