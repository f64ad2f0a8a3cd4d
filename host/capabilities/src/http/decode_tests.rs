//! Tests of decoding compressed responses.

use super::*;
use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use futures::task::noop_waker_ref;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::AsyncReadExt;

const BYTES_MAX: u64 = 1 << 20;

fn text() -> Vec<u8> {
    (0..2_000).flat_map(|number: u32| format!("{number} bottles, ").into_bytes()).collect()
}

async fn all(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut encoded = Vec::new();
    encoder.read_to_end(&mut encoded).await.expect("it is encoded");
    encoded
}

async fn gzip(bytes: &[u8]) -> Vec<u8> {
    all(GzipEncoder::new(bytes)).await
}

async fn brotli(bytes: &[u8]) -> Vec<u8> {
    all(BrotliEncoder::new(bytes)).await
}

async fn zstd(bytes: &[u8]) -> Vec<u8> {
    all(ZstdEncoder::new(bytes)).await
}

/// A body that comes by frames of so many bytes.
fn framed(body: &[u8], frame: usize) -> impl Body<Data = Bytes, Error = Error> + Send + Unpin + 'static {
    let frames: Vec<_> = body.chunks(frame).map(|bytes| Ok(Frame::data(Bytes::copy_from_slice(bytes)))).collect();
    StreamBody::new(futures::stream::iter(frames))
}

fn decoder(codings: &[Coding], body: &[u8], frame: usize) -> DecodedBody {
    let windows = Arc::new(Semaphore::new(WINDOWS_KIB));
    DecodedBody::new(framed(body, frame), codings, BYTES_MAX, windows, CallMeter::default())
}

/// The decoded body, the same however it arrives.
async fn decoded(codings: &[Coding], body: &[u8]) -> Result<Vec<u8>, Error> {
    let whole = decoder(codings, body, usize::MAX).collect().await.map(|body| body.to_bytes().to_vec());
    let bytewise = decoder(codings, body, 1).collect().await.map(|body| body.to_bytes().to_vec());
    assert_eq!(whole.as_ref().ok(), bytewise.as_ref().ok(), "frames of one byte");
    whole
}

#[track_caller]
fn is_malformed(decoded: Result<Vec<u8>, Error>, what: &str) {
    let error = decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).expect_err(what);
    assert!(matches!(error, Error::HttpResponseContentCoding(Some(_))), "{what}: {error:?}");
}

#[tokio::test]
async fn each_coding_and_codings_upon_codings_are_taken_away() {
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    let text = text();
    for (codings, body) in [
        (vec![Gzip], gzip(&text).await),
        (vec![Deflate], all(ZlibEncoder::new(&text[..])).await),
        (vec![Deflate], all(DeflateEncoder::new(&text[..])).await),
        (vec![Brotli], brotli(&text).await),
        (vec![Zstd], zstd(&text).await),
        (vec![Gzip, Brotli], brotli(&gzip(&text).await).await),
        (vec![Zstd, Gzip, Brotli], brotli(&gzip(&zstd(&text).await).await).await),
    ] {
        assert!(decoded(&codings, &body).await.expect("it is whole") == text, "{codings:?}");
        assert!(decoded(&codings, b"").await.expect("a body without a byte is one").is_empty(), "{codings:?}");
    }
}

#[tokio::test]
async fn members_and_frames_that_follow_are_read_too() {
    let members = [gzip(b"first ").await, gzip(b"").await, gzip(b"second").await].concat();
    assert_eq!(decoded(&[Coding::Gzip], &members).await.expect("members"), b"first second");
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(); // RFC 8878, 3.1.2
    let frames = [zstd(b"first ").await, skippable, zstd(b"second").await].concat();
    assert_eq!(decoded(&[Coding::Zstd], &frames).await.expect("frames"), b"first second");
}

#[tokio::test]
async fn what_follows_the_end_is_padding_or_an_error_as_in_node() {
    let one = gzip(b"first ").await;
    for (rest, fine) in [
        (vec![0; 10], true),
        ([vec![0; 3], gzip(b"second").await].concat(), true), // zeros end it
        (b"garbage here".to_vec(), false),
        (b"\x1f\x8b\xff\xff\0\0\0\0".to_vec(), false),
        (gzip(b"second").await[..12].to_vec(), false),
    ] {
        let decoded = decoded(&[Coding::Gzip], &[one.clone(), rest.clone()].concat()).await;
        match fine {
            true => assert_eq!(decoded.expect("padded"), b"first ", "{rest:?}"),
            false => is_malformed(decoded, &format!("{rest:?}")),
        }
    }
    for (coding, body) in [
        (Coding::Brotli, brotli(b"first ").await),
        (Coding::Deflate, all(ZlibEncoder::new(&b"first "[..])).await),
        (Coding::Deflate, all(DeflateEncoder::new(&b"first "[..])).await),
    ] {
        let decoded = decoded(&[coding], &[body, b"xx".to_vec()].concat()).await;
        assert_eq!(decoded.expect("the rest has no meaning"), b"first ", "{coding:?}");
    }
}

#[tokio::test]
async fn what_is_cut_short_or_damaged_is_never_taken_for_whole() {
    let text = text();
    for (coding, body) in [
        (Coding::Gzip, gzip(&text).await),
        (Coding::Deflate, all(ZlibEncoder::new(&text[..])).await),
        (Coding::Deflate, all(DeflateEncoder::new(&text[..])).await),
        (Coding::Brotli, brotli(&text).await),
        (Coding::Zstd, zstd(&text).await),
    ] {
        for left in [1, 5, body.len() / 2, body.len() - 1] {
            is_malformed(decoded(&[coding], &body[..left]).await, &format!("{coding:?}, {left} bytes"));
        }
        is_malformed(decoded(&[Coding::Gzip, coding], &body).await, &format!("no gzip in {coding:?}"));
    }
    let mut checked = gzip(&text).await;
    let sum = checked.len() - 6;
    checked[sum] ^= 1;
    is_malformed(decoded(&[Coding::Gzip], &checked).await, "another checksum");
    is_malformed(decoded(&[Coding::Gzip], b"plain text").await, "plain text");
}

#[tokio::test]
async fn no_step_makes_more_than_a_body_may_have() {
    let over = vec![b'x'; usize::try_from(BYTES_MAX).expect("fits") + 1];
    let within = gzip(&over[1..]).await;
    assert_eq!(decoded(&[Coding::Gzip], &within).await.expect("it is the bound").len() as u64, BYTES_MAX);
    // The second makes a large thing that becomes a small one again.
    let empty_members = gzip(b"").await.repeat(60_000);
    for (codings, body) in [
        (vec![Coding::Gzip], gzip(&over).await),
        (vec![Coding::Brotli], brotli(&over).await),
        (vec![Coding::Zstd], zstd(&over).await),
        (vec![Coding::Gzip, Coding::Gzip], gzip(&empty_members).await),
    ] {
        let error = decoder(&codings, &body, usize::MAX).collect().await.expect_err("it is over the bound");
        assert!(matches!(error, Error::HttpResponseBodySize(Some(BYTES_MAX))), "{codings:?}: {error:?}");
    }
}

#[tokio::test]
async fn work_that_makes_nothing_lets_others_run() {
    let empty_members = gzip(b"").await.repeat(20_000);
    let mut body = decoder(&[Coding::Gzip], &empty_members, usize::MAX);
    let mut pauses = 0;
    while Pin::new(&mut body).poll_frame(&mut Context::from_waker(noop_waker_ref())).is_pending() {
        pauses += 1;
    }
    let turns = empty_members.len() as u64 * BYTE_IN / TURN;
    assert!(pauses >= turns / 2, "{pauses} pauses in {turns} turns");
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn a_window_of_zstd_is_bounded() {
    // A frame that says its window has 128 MiB, and is empty: RFC 8878, 3.1.1.1.2.
    let frame = [&0xfd2f_b528_u32.to_le_bytes()[..], &[0x00, 17 << 3, 1, 0, 0]].concat();
    is_malformed(decoded(&[Coding::Zstd], &frame).await, "128 MiB");
    let frame = [&0xfd2f_b528_u32.to_le_bytes()[..], &[0x00, 13 << 3, 1, 0, 0]].concat();
    assert!(decoded(&[Coding::Zstd], &frame).await.expect("8 MiB").is_empty());
}

#[tokio::test]
async fn bodies_wait_for_the_windows_of_others() {
    let windows = Arc::new(Semaphore::new(WINDOWS_KIB));
    let (codings, body) = (vec![Coding::Brotli; 4], b"not brotli".to_vec());
    let made = || DecodedBody::new(framed(&body, 1), &codings, BYTES_MAX, Arc::clone(&windows), CallMeter::default());
    let (mut first, mut second, mut third) = (made(), made(), made());
    let waits =
        |body: &mut DecodedBody| Pin::new(body).poll_frame(&mut Context::from_waker(noop_waker_ref())).is_pending();
    let held = Arc::clone(&windows).try_acquire_many_owned(64 << 10).expect("64 MiB are free");
    assert!(!waits(&mut first), "64 MiB more are");
    drop(first);
    let more = Arc::clone(&windows).try_acquire_many_owned(1).expect("they are free again");
    assert!(waits(&mut second), "there is too little");
    drop((held, more));
    assert!(!waits(&mut second) && !waits(&mut third));
}
