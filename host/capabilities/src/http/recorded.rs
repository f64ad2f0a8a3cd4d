//! The requests of a worker's turn, as they are told apart, and the responses to them, which are kept for further
//! attempts of it.

use super::IDEMPOTENCY_KEY;
use crate::turn::{ResultRoom, TurnCall, TurnCalls};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::{Error, WasiBody};

/// Bytes of a body that is kept at most. A longer one is read as it comes, and its request is sent again.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a body, of a length that is known, which is read before the component has the response: it is kept also if
/// the component reads nothing of it.
const READ_AHEAD_BYTES_MAX: u64 = 64 << 10;

/// Bytes of a request's body by which it is told from others with its method and URL.
const REQUEST_BYTES: usize = 64 << 10;

/// Begins the call of a turn that a request is, which gets its key unless it has one. The beginning of the body is read
/// before: the same URL with another body is another call, and must have neither its key nor its response.
///
/// # Errors
/// Why the body cannot be read.
pub(super) async fn begin(
    turn: &TurnCalls,
    component: &str,
    request: Request<WasiBody>,
) -> Result<(TurnCall, Request<WasiBody>), Error> {
    let (mut head, body) = request.into_parts();
    let (read, body) = read_ahead(body).await?;
    let (url, told_by) = (head.uri.to_string(), &read[..read.len().min(REQUEST_BYTES)]);
    let call = turn.begin(component, "http.request", &[head.method.as_str().as_bytes(), url.as_bytes(), told_by]);
    if let Ok(key) = HeaderValue::from_str(&format!("\"{}\"", call.key())) {
        head.headers.entry(IDEMPOTENCY_KEY).or_insert(key);
    }
    Ok((call, Request::from_parts(head, body)))
}

/// Reads the beginning of a body; that, and the whole body.
async fn read_ahead(mut body: WasiBody) -> Result<(Bytes, WasiBody), Error> {
    let mut read = Vec::new();
    while read.len() < REQUEST_BYTES {
        let Some(frame) = body.frame().await.transpose()? else {
            let read = Bytes::from(read);
            return Ok((read.clone(), Full::new(read).map_err(|never| match never {}).boxed_unsync()));
        };
        // The client sends no trailers.
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
    }
    let read = Bytes::from(read);
    let begun = stream::iter([Ok(Frame::data(read.clone()))]);
    Ok((read, StreamBody::new(begun.chain(BodyStream::new(body))).boxed_unsync()))
}

/// A response, with its whole body.
#[derive(Clone)]
pub(super) struct RecordedResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl RecordedResponse {
    /// The response, as a component gets it that has sent the request again. The request's body is read and dropped.
    pub(super) fn replay(self, mut request: WasiBody) -> Response<WasiBody> {
        // A component that writes more than is buffered would wait for ever else. It ends with the component's body.
        tokio::spawn(async move { while let Some(Ok(_)) = request.frame().await {} });
        let Self { status, headers, body } = self;
        let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Has a response recorded once its body was read to its end, unless that is too long or ends in trailers.
///
/// # Errors
/// Why the body cannot be read, where it is read ahead.
pub(super) async fn record(response: Response<WasiBody>, call: TurnCall) -> Result<Response<WasiBody>, Error> {
    let (head, body) = response.into_parts();
    let recording = Recording::new(&head, call);
    let is_short = body.size_hint().exact().is_some_and(|bytes| bytes <= READ_AHEAD_BYTES_MAX);
    let is_read_ahead = is_short && recording.is_some();
    let body = RecordingBody { body, recording };
    let body = if is_read_ahead {
        body.collect().await?.map_err(|never| match never {}).boxed_unsync()
    } else {
        body.boxed_unsync()
    };
    Ok(Response::from_parts(head, body))
}

/// What was read of a response so far.
struct Recording {
    call: TurnCall,
    /// What the journal holds for the body so far: those of many responses come at once.
    room: ResultRoom,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Recording {
    /// None if the journal does not take it.
    fn new(head: &Parts, call: TurnCall) -> Option<Self> {
        let room = call.room()?;
        Some(Self { call, room, status: head.status, headers: head.headers.clone(), body: Vec::new() })
    }

    /// The same with a frame more; none if it is not to be kept.
    fn with(mut self, frame: &Frame<Bytes>) -> Option<Self> {
        let data = frame.data_ref().filter(|data| self.body.len() + data.len() <= BODY_BYTES_MAX)?;
        if !self.room.grow(data.len()) {
            return None;
        }
        self.body.extend_from_slice(data);
        Some(self)
    }

    /// Has the whole response recorded.
    fn finish(self) {
        let Self { call, room, status, headers, body } = self;
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() + body.len();
        drop(room);
        call.record(RecordedResponse { status, headers, body: body.into() }, bytes);
    }
}

/// A body that is recorded as it is read.
struct RecordingBody {
    body: WasiBody,
    /// None once it was recorded, or is not to be.
    recording: Option<Recording>,
}

impl Body for RecordingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        let recording = this.recording.take();
        match (&frame, recording) {
            (None, Some(recording)) => recording.finish(),
            (Some(Ok(frame)), Some(recording)) => match recording.with(frame) {
                // Who knows the length of a body does not ask for more after its last frame.
                Some(recording) if this.body.is_end_stream() => recording.finish(),
                recording => this.recording = recording,
            },
            _ => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::TurnJournal;

    type Frames = Vec<Result<Frame<Bytes>, Error>>;

    fn data(text: &'static str) -> Result<Frame<Bytes>, Error> {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    /// A response of unknown length.
    fn streamed(frames: Frames) -> Response<WasiBody> {
        let body = StreamBody::new(stream::iter(frames).boxed()).boxed_unsync();
        let response = Response::builder().status(201).header("x-a", "b").body(body);
        response.expect("a response")
    }

    fn call(journal: &TurnJournal) -> TurnCall {
        journal.attempt().begin("shop", "http.request", &[])
    }

    async fn text(response: Response<WasiBody>) -> String {
        let read = response.into_body().collect().await.expect("it is read");
        String::from_utf8(read.to_bytes().to_vec()).expect("text")
    }

    fn no_body() -> WasiBody {
        Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
    }

    /// A request with a body that comes in these pieces: its key, and the body as it is sent.
    async fn sent(calls: &TurnCalls, pieces: &[Vec<u8>]) -> (String, Bytes) {
        let frames: Frames = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from(piece.clone())))).collect();
        let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
        let request = Request::post("http://a.test/charges").body(body).expect("a request");
        let (call, request) = begin(calls, "shop", request).await.expect("it is read");
        assert_eq!(request.headers()[IDEMPOTENCY_KEY], format!("\"{}\"", call.key()));
        (call.key().to_owned(), request.into_body().collect().await.expect("it is whole").to_bytes())
    }

    #[tokio::test]
    async fn requests_are_told_apart_by_their_bodies_and_these_are_sent_whole() {
        let journal = TurnJournal::new(vec!["turn".to_owned()], |_| true);
        let long = vec![b'x'; 3 * REQUEST_BYTES / 2];
        let bodies = [vec![], vec![b"5".to_vec()], vec![b"7".to_vec()], vec![long, b"end".to_vec()]];
        let calls = journal.attempt();
        let mut first = Vec::new();
        for pieces in &bodies {
            let (key, body) = sent(&calls, pieces).await;
            assert_eq!(body, pieces.concat());
            assert!(!first.contains(&key), "{first:?}");
            first.push(key);
        }
        // In another order, and in other pieces.
        let (calls, mut again) = (journal.attempt(), Vec::new());
        for pieces in bodies.iter().rev() {
            let pieces: Vec<Vec<u8>> = pieces.concat().chunks(1_000).map(<[u8]>::to_vec).collect();
            again.push(sent(&calls, &pieces).await.0);
        }
        again.reverse();
        assert_eq!(again, first);
        assert_ne!(sent(&calls, &bodies[1]).await.0, first[1], "the second of the same");
    }

    #[tokio::test]
    async fn a_response_that_was_read_to_its_end_is_given_again() {
        let journal = TurnJournal::new(vec!["turn".to_owned()], |_| true);
        let response = record(streamed(vec![data("on"), data("e")]), call(&journal)).await.expect("a response");
        assert!(call(&journal).recorded::<RecordedResponse>().is_none(), "it was not read");
        assert_eq!(text(response).await, "one");
        let recorded: RecordedResponse = call(&journal).recorded().expect("it was read");
        let again = recorded.replay(no_body());
        assert_eq!((again.status(), again.headers()["x-a"].as_bytes()), (StatusCode::CREATED, &b"b"[..]));
        assert_eq!(text(again).await, "one");
    }

    #[tokio::test]
    async fn responses_that_come_at_once_share_the_room_of_the_journal() {
        let journal = TurnJournal::new(vec!["turn".to_owned()], |bytes| bytes <= 1_500);
        let calls = journal.attempt();
        let open = async |name: &str| {
            let frames = vec![Ok(Frame::data(Bytes::from(vec![0; 600]))), data("x")];
            record(streamed(frames), calls.begin("shop", name, &[])).await.expect("a response").into_body()
        };
        let mut half = open("a").await;
        assert!(half.frame().await.is_some_and(|frame| frame.is_ok()));
        drop(open("b").await.collect().await);
        // What is not read on is kept no longer.
        drop(half);
        drop(open("c").await.collect().await);
        let again = journal.attempt();
        let is_kept = |name: &str| again.begin("shop", name, &[]).recorded::<RecordedResponse>().is_some();
        assert_eq!(["a", "b", "c"].map(is_kept), [false, false, true]);
    }

    #[tokio::test]
    async fn a_short_response_is_kept_also_if_nobody_reads_it() {
        let journal = TurnJournal::new(vec!["turn".to_owned()], |_| true);
        let body = Full::new(Bytes::from_static(b"short")).map_err(|never| match never {}).boxed_unsync();
        drop(record(Response::new(body), call(&journal)).await.expect("a response"));
        let recorded: RecordedResponse = call(&journal).recorded().expect("it is kept");
        assert_eq!(text(recorded.replay(no_body())).await, "short");
    }

    #[tokio::test]
    async fn a_response_that_is_too_long_is_broken_or_has_trailers_is_not_kept() {
        let long = vec![Ok(Frame::data(Bytes::from(vec![0; BODY_BYTES_MAX]))), data("x")];
        let broken = vec![data("a"), Err(Error::HttpResponseIncomplete)];
        let trailers = vec![data("a"), Ok(Frame::trailers(HeaderMap::new()))];
        for frames in [long, broken, trailers] {
            let journal = TurnJournal::new(vec!["turn".to_owned()], |_| true);
            let response = record(streamed(frames), call(&journal)).await.expect("a response");
            drop(response.into_body().collect().await);
            assert!(call(&journal).recorded::<RecordedResponse>().is_none());
        }
    }
}
