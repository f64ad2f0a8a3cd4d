//! Files beside a component: compressed beforehand, sent as they are read, and checked on the way.

use elias_tests::build::component;
use elias_tests::platform::Platform;
use serde_json::json;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn nothing() -> Vec<u8> {
    component("export default { fetch: () => new Response('the component') };")
}

/// Bytes that no coding makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn files_are_compressed_when_they_are_deployed_and_each_coding_has_a_tag_of_its_own() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let script = "console.log('elias');\n".repeat(3_000);
    let (long, short) = (team.upload(script.as_bytes()).await, team.upload(b"let a = 1;").await);
    let image = team.upload(&noise(20_000)).await;
    let settings = json!({
        "files": { "public/app.3f2a9c1b.js": long, "public/short.js": short, "public/noise.txt": image },
        "gateway": { "assets": { "folder": "public" } },
    });
    team.serve("shop", &nothing(), settings).await;
    let host = team.host("shop");
    let ask = async |path: &str, accepts: &str| {
        let request = http::Request::get("/").header("accept-encoding", accepts);
        platform.ask_with(request, &host, path, "").await
    };
    let mut tags = BTreeMap::new();
    for (accepts, coding) in
        [("gzip;q=0.5, br", "br"), ("br;q=0.1, gzip", "gzip"), ("zstd", ""), ("br;q=0", ""), ("", "")]
    {
        let answer = ask("/app.3f2a9c1b.js", accepts).await;
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!((answer.status, header("content-encoding")), (200, coding), "{accepts}");
        assert_eq!(header("vary"), "accept-encoding");
        assert_eq!(header("cache-control"), "public, max-age=31536000, immutable");
        let length: usize = header("content-length").parse().expect("a length");
        assert!(if coding.is_empty() { answer.body == script } else { length < 2_000 }, "{accepts}: {length}");
        let tag = header("etag").to_owned();
        assert!(!tag.starts_with("W/"), "the bytes are the same each time");
        tags.insert(coding.to_owned(), tag.clone());
        let again = http::Request::get("/").header("accept-encoding", accepts).header("if-none-match", tag);
        assert_eq!(platform.ask_with(again, &host, "/app.3f2a9c1b.js", "").await.status, 304, "{accepts}");
    }
    let different: std::collections::BTreeSet<_> = tags.values().collect();
    assert_eq!(different.len(), 3, "{tags:?}");
    for path in ["/short.js", "/noise.txt"] {
        let answer = ask(path, "br, gzip").await;
        assert!(!answer.headers.contains_key("content-encoding"), "{path} would not become smaller: {answer:?}");
    }
    let part = http::Request::get("/").header("range", "bytes=8-14");
    let part = platform.ask_with(part, &host, "/app.3f2a9c1b.js", "").await;
    assert_eq!((part.status, part.body.as_str()), (206, "log('el"));
    let head = http::Request::head("/").header("accept-encoding", "gzip");
    let head = platform.ask_with(head, &host, "/app.3f2a9c1b.js", "").await;
    assert_eq!((head.headers["content-encoding"].as_bytes(), head.body.as_str()), (&b"gzip"[..], ""));
}

#[tokio::test]
async fn twenty_slow_readers_of_a_large_file_take_no_memory_of_its_size() {
    const BYTES: usize = 40 << 20;
    const GROWTH_MAX: u64 = 24 << 20;
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let film = noise(BYTES);
    let digest = team.upload(&film).await;
    let settings = json!({
        "files": { "public/film.mp4": digest },
        "gateway": { "assets": { "folder": "public" } },
    });
    team.serve("shop", &nothing(), settings).await;
    let host = team.host("shop");
    assert_eq!(team.get("shop", "/").await.body, "the component");
    let request = format!("GET /film.mp4 HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let before = platform.resident_bytes();
    let (mut readers, mut most) = (Vec::new(), 0);
    for _ in 0..20 {
        let mut reader = TcpStream::connect(platform.address).await.expect("it listens");
        reader.write_all(request.as_bytes()).await.expect("it is sent");
        // Its answer has begun, and goes no further than the system's buffers.
        let mut begin = [0; 64];
        reader.read_exact(&mut begin).await.expect("it begins");
        assert!(begin.starts_with(b"HTTP/1.1 200"));
        readers.push((reader, begin.to_vec()));
        most = most.max(platform.resident_bytes());
    }
    for (i, (mut reader, mut answer)) in readers.into_iter().enumerate() {
        reader.read_to_end(&mut answer).await.expect("it ends");
        most = most.max(platform.resident_bytes());
        if i == 0 {
            assert!(answer.ends_with(&film), "it is whole");
        }
        assert!(answer.len() > BYTES);
    }
    let growth = most.saturating_sub(before);
    assert!(growth < GROWTH_MAX, "twenty readers of {BYTES} bytes took {growth} bytes");
}

#[tokio::test]
async fn a_file_that_was_altered_on_the_disk_is_never_whole() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let picture = noise(300_000);
    let digest = team.upload(&picture).await;
    let settings = json!({ "files": { "public/a.png": digest }, "gateway": { "assets": { "folder": "public" } } });
    team.serve("shop", &nothing(), settings).await;
    let mut altered = picture;
    altered[5] ^= 1;
    std::fs::write(platform.artifact(&digest), &altered).expect("it is altered");
    let request = format!("GET /a.png HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", team.host("shop"));
    let mut reader = TcpStream::connect(platform.address).await.expect("it listens");
    reader.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    let _ = reader.read_to_end(&mut answer).await; // the connection may be reset
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    assert!(answer.len() - head < altered.len(), "the end is missing");
    assert_eq!(team.get("shop", "/a.png").await.status, 503, "it is gone, until it is uploaded again");
}
