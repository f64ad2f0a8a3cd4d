//! The content of a response, from a component or from the server itself.

use super::read_ahead::ComponentBody;
use bytes::Bytes;
use elias_host::Error;
use futures::{Stream, TryStreamExt};
use http_body::{Body, Frame, SizeHint};
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The content of a response.
pub(crate) enum Content {
    /// No content.
    Empty,
    /// The content in one piece.
    Whole(Bytes),
    /// The component's. Not boxed, since most responses are of this kind.
    Component(ComponentBody),
    /// All others: files, streams of the server, and what wraps a component's body.
    Boxed(UnsyncBoxBody<Bytes, Error>),
}

impl Content {
    /// The content that a body has.
    pub(crate) fn boxed(body: impl Body<Data = Bytes, Error = Error> + Send + 'static) -> Self {
        Self::Boxed(UnsyncBoxBody::new(body))
    }

    /// The content of a stream, whose length is not known.
    pub(crate) fn stream(chunks: impl Stream<Item = Result<Bytes, Error>> + Send + 'static) -> Self {
        Self::boxed(StreamBody::new(chunks.map_ok(Frame::data)))
    }

    /// The length in bytes, where it is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            // It may be empty for HEAD alone: then the header says what GET has.
            Self::Empty => None,
            content => content.size_hint().exact(),
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Self::Component(body) => Pin::new(body).poll_frame(cx),
            Self::Boxed(body) => Pin::new(body).poll_frame(cx),
            content => match std::mem::replace(content, Self::Empty) {
                Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Component(body) => body.is_end_stream(),
            Self::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Component(body) => body.size_hint(),
            Self::Boxed(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn the_length_is_known_where_the_content_is_whole() {
        assert_eq!(Content::Empty.bytes(), None);
        assert!(Content::Empty.is_end_stream());
        let mut whole = Content::Whole(Bytes::from_static(b"abc"));
        assert_eq!(whole.bytes(), Some(3));
        let frame = whole.frame().await.expect("a frame").expect("no error");
        assert_eq!(frame.into_data().ok().as_deref(), Some(&b"abc"[..]));
        assert!(whole.is_end_stream());
        let chunks = ["a", "bc"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let stream = Content::stream(futures::stream::iter(chunks));
        assert_eq!((stream.bytes(), stream.is_end_stream()), (None, false));
        assert_eq!(stream.collect().await.expect("no error").to_bytes(), "abc");
    }
}
