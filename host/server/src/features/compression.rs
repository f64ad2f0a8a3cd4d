//! Compression of responses.

use crate::body::Content;
use async_compression::Level;
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use bytes::Bytes;
use elias_gateway::Coding;
use elias_host::Error;
use futures::{Stream, StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use std::io;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// Brotli at its best takes seconds a megabyte; what is compressed anew for each request is compressed quickly.
const LEVEL: Level = Level::Fastest;

/// The same content, compressed as it is read.
pub(crate) fn compress(content: Content, coding: Coding) -> Content {
    if matches!(content, Content::Empty) {
        return content;
    }
    let reader = StreamReader::new(content.into_data_stream().map_err(io::Error::other));
    match coding {
        Coding::Brotli => read(BrotliEncoder::with_quality(reader, LEVEL)),
        Coding::Zstd => read(ZstdEncoder::with_quality(reader, LEVEL)),
        Coding::Gzip => read(GzipEncoder::with_quality(reader, LEVEL)),
    }
}

fn read(encoder: impl AsyncRead + Send + 'static) -> Content {
    Content::stream(errors(ReaderStream::new(encoder)))
}

/// The component's own error comes out as it went in; an encoder has none of its own.
fn errors(chunks: impl Stream<Item = io::Result<Bytes>>) -> impl Stream<Item = Result<Bytes, Error>> {
    chunks.filter_map(async |chunk| match chunk {
        Ok(bytes) => Some(Ok(bytes)),
        Err(error) => error.downcast::<Error>().ok().map(Err),
    })
}
