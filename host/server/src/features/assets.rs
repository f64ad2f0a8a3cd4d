//! Files of a version or a project, served in the component's place.

use crate::body::Content;
use crate::failure::{Failure, Refusal};
use crate::local_gateway::{LocalFile, LocalGateway};
use bytes::Bytes;
use elias_contract::hexadecimal;
use elias_gateway::AssetResponse;
use elias_host::{Error, ErrorCode};
use elias_names::Digest;
use elias_platform::Platform;
use futures::{Stream, TryStreamExt};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use std::fmt::Display;
use std::io::{self, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// The store of the files' bytes.
pub(crate) enum FileStore<'a> {
    /// Among the artifacts of a platform.
    Platform(&'a Platform),
    /// In the folder of a project.
    Project(&'a LocalGateway),
}

/// The response that the gateway decided on, with the bytes.
pub(crate) async fn respond(store: FileStore<'_>, asset: AssetResponse) -> Result<Response<Content>, Failure> {
    let (status, headers, content) = match asset {
        AssetResponse::Refused(refusal) => return Err(refusal.into()),
        AssetResponse::Empty { status, headers } => (status, headers, Content::Empty),
        AssetResponse::Bytes { status, headers, body: false, .. } => (status, headers, Content::Empty),
        AssetResponse::Bytes { status, headers, digest, range, body: true } => {
            (status, headers, store.read(digest, range).await?)
        }
    };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

impl FileStore<'_> {
    /// The part of a file, which is read as it is sent.
    async fn read(self, digest: [u8; 32], range: Range<u64>) -> Result<Content, Failure> {
        let left_bytes = range.end.saturating_sub(range.start);
        let failed = |error: &dyn Display| {
            tracing::error!(%error, "a static file cannot be read");
            Failure::Refused(Refusal::Unavailable)
        };
        match self {
            Self::Platform(platform) => {
                let chunks = platform.artifacts().stream(&artifact(digest)?, range).await;
                let chunks = chunks.map_err(|error| failed(&error))?.map_err(|error| unreadable(&error));
                Ok(Content::boxed(FileBody { chunks, left_bytes }))
            }
            Self::Project(gateway) => {
                let file = gateway.file(&digest).ok_or_else(|| failed(&"it is not there"))?;
                let opened = open(file, range.start).await.map_err(|error| failed(&error))?;
                let chunks = ReaderStream::new(opened.take(left_bytes)).map_err(|error| unreadable(&error));
                Ok(Content::boxed(FileBody { chunks, left_bytes }))
            }
        }
    }
}

fn unreadable(error: &dyn Display) -> Error {
    Error::io(format!("a static file cannot be read: {error}"))
}

/// Opens a file at an offset. One that has changed since its entity tag was made is another one.
async fn open(file: &LocalFile, offset: u64) -> io::Result<File> {
    let mut opened = File::open(&file.path).await?;
    if !file.is_same(&opened.metadata().await?) {
        return Err(io::Error::other(format!("{} has changed since the server started", file.path.display())));
    }
    opened.seek(SeekFrom::Start(offset)).await?;
    Ok(opened)
}

/// The name of an artifact with this SHA-256.
fn artifact(digest: [u8; 32]) -> Result<Digest, Failure> {
    hexadecimal(&digest).parse().map_err(|_| Refusal::Host(ErrorCode::Internal).into())
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
