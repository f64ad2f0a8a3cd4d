//! Cases of Autobahn's test suite, by frames as they are on the wire.

use super::{ECHO_COMPONENT, echo, show};
use elias_tests::build::Project;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::{PATIENCE, Server};
use serde_json::json;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Frames of the server: opcodes and payloads.
type Frames = Vec<(u8, Vec<u8>)>;

/// A frame of a client: the first byte and the payload.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let payload = payload.as_ref();
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(FIN | u8::try_from(length).expect("small")),
        length @ 126..=0xffff => {
            bytes.push(FIN | 126);
            bytes.extend(u16::try_from(length).expect("small").to_be_bytes());
        }
        length => {
            bytes.push(FIN | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(FIN | CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
}

/// A connection that has asked for a WebSocket, and the headers of the response.
async fn ask(address: SocketAddr, target: &str, fields: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!(
        "GET {target} HTTP/1.1\r\n{fields}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    (stream, String::from_utf8(head).expect("text"))
}

/// A connection that has become a WebSocket.
async fn open(server: &Server, name: &str) -> TcpStream {
    let (stream, head) = ask(server.address, &format!("/workers/Echo/{name}"), "host: here.test").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "none was offered: {head}");
    stream
}

/// The next frame of the server, which is whole and not masked; none at the end.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    assert_eq!(first & 0xf0, FIN, "one frame, without extensions");
    let length = match stream.read_u8().await.ok()? {
        126 => usize::from(stream.read_u16().await.ok()?),
        127 => usize::try_from(stream.read_u64().await.ok()?).expect("small"),
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    Some((first & 0x0f, payload))
}

/// What comes back for these bytes: frames, and the code with which the server closes.
async fn exchange(server: &Server, bytes: &[u8], chop: usize) -> (Frames, Option<u16>) {
    let stream = open(server, "wire").await;
    let (mut reader, mut writer) = stream.into_split();
    let bytes = bytes.to_vec();
    let written = tokio::spawn(async move {
        for piece in bytes.chunks(chop) {
            // The server may close before the end.
            if writer.write_all(piece).await.is_err() {
                break;
            }
        }
        writer
    });
    let answers = async {
        let mut frames = Vec::new();
        loop {
            match read(&mut reader).await {
                None => return (frames, None),
                Some((CLOSE, payload)) => {
                    let code = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
                    return (frames, Some(code.unwrap_or(1005)));
                }
                Some(frame) => frames.push(frame),
            }
        }
    };
    let answers = tokio::time::timeout(PATIENCE, answers).await.expect("the server closes");
    drop(written.await.expect("no panic"));
    answers
}

/// These frames, and a close.
fn then_close(frames: &[Vec<u8>]) -> Vec<u8> {
    [frames.concat(), close(1000, "")].concat()
}

#[tokio::test]
async fn messages_are_echoed_whatever_their_frames_are() {
    let server = echo(&[]);
    let greek = "κόσμε".as_bytes();
    let echo = |opcode: u8, payload: &[u8]| vec![(opcode, payload.to_vec())];
    let mut cases: Vec<(String, Vec<Vec<u8>>, Frames)> = Vec::new();
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 786_432] {
        let payload = vec![b'*'; length];
        cases.push((format!("1.1: text, {length}"), vec![frame(FIN | TEXT, &payload)], echo(TEXT, &payload)));
        cases.push((format!("1.2: binary, {length}"), vec![frame(FIN | BINARY, &payload)], echo(BINARY, &payload)));
    }
    for payload in [&b""[..], b"Hello", b"\x00\xff\xfe", &[0xfe; 125]] {
        cases.push((format!("2: ping, {payload:?}"), vec![frame(FIN | PING, payload)], echo(PONG, payload)));
    }
    let ten: Vec<Vec<u8>> = (0..10).map(|number: u8| frame(FIN | PING, [number])).collect();
    cases.push(("2.10: ten pings".to_owned(), ten, (0..10).map(|number| (PONG, vec![number])).collect()));
    cases.push(("2.7: a pong that nobody asked for".to_owned(), vec![frame(FIN | PONG, "x")], Vec::new()));
    for (name, frames, answers) in [
        ("5.3: two fragments", vec![frame(TEXT, "one"), frame(FIN, "two")], echo(TEXT, b"onetwo")),
        (
            "5.5: binary",
            vec![frame(BINARY, [1_u8]), frame(CONTINUATION, [2_u8]), frame(FIN, [3_u8])],
            echo(BINARY, &[1, 2, 3]),
        ),
        (
            "5.6: a ping between fragments",
            vec![frame(TEXT, "one"), frame(FIN | PING, "p"), frame(FIN, "two")],
            vec![(PONG, b"p".to_vec()), (TEXT, b"onetwo".to_vec())],
        ),
        ("6.1: empty fragments", vec![frame(TEXT, ""), frame(CONTINUATION, ""), frame(FIN, "")], echo(TEXT, b"")),
        ("6.2: UTF-8", vec![frame(FIN | TEXT, greek)], echo(TEXT, greek)),
        (
            "6.2: a fragment ends within a character",
            vec![frame(TEXT, &greek[..1]), frame(FIN, &greek[1..])],
            echo(TEXT, greek),
        ),
    ] {
        cases.push((name.to_owned(), frames, answers));
    }
    for (name, frames, answers) in cases {
        let bytes = then_close(&frames);
        // Pings are answered at once, messages when the worker has had its turn; the close comes last in either case.
        let mut stream = open(&server, "wire").await;
        stream.write_all(&frames.concat()).await.expect("it reads");
        for expected in answers {
            let got = tokio::time::timeout(PATIENCE, read(&mut stream)).await.expect("an answer");
            assert!(got.as_ref() == Some(&expected), "{name}");
        }
        stream.write_all(&bytes[frames.concat().len()..]).await.expect("it reads");
        let got = tokio::time::timeout(PATIENCE, read(&mut stream)).await.expect("an answer");
        assert_eq!(got, Some((CLOSE, vec![0x03, 0xe8])), "{name}");
        assert_eq!(read(&mut stream).await, None, "{name}");
    }
    // 2.6: octet by octet.
    let (frames, code) = exchange(&server, &then_close(&[frame(FIN | PING, [0xfe_u8; 125])]), 1).await;
    assert_eq!((frames, code), (vec![(PONG, vec![0xfe; 125])], Some(1000)));
}

#[tokio::test]
async fn what_breaks_the_protocol_closes_the_socket_with_its_code() {
    let server = echo(&[]);
    let big = vec![b'*'; 400_000];
    let unmasked = vec![FIN | TEXT, 1, b'x'];
    let mut cases: Vec<(String, Vec<u8>, &[u16])> = vec![
        ("unmasked".to_owned(), unmasked, &[1002]),
        ("2.5: a ping of 126 bytes".to_owned(), frame(FIN | PING, [b'x'; 126]), &[1002]),
        ("5.1: a ping in fragments".to_owned(), [frame(PING, "a"), frame(FIN, "b")].concat(), &[1002]),
        ("5.9: nothing to continue".to_owned(), frame(FIN, "a"), &[1002]),
        ("5.10".to_owned(), frame(CONTINUATION, "a"), &[1002]),
        ("5.18: a second message within".to_owned(), [frame(TEXT, "a"), frame(FIN | TEXT, "b")].concat(), &[1002]),
        ("6.3: no UTF-8".to_owned(), frame(FIN | TEXT, b"\xce\xba\xed\xa0\x80edited"), &[1007]),
        ("6.3.2: in fragments".to_owned(), [frame(TEXT, b"\xce\xba"), frame(FIN, b"\xed\xa0\x80")].concat(), &[1007]),
        ("6.6: a part of a character".to_owned(), frame(FIN | TEXT, b"\xce"), &[1007]),
        ("7.3.2: a close of one byte".to_owned(), frame(FIN | CLOSE, [3_u8]), &[1002]),
        ("7.5.1: a reason that is no UTF-8".to_owned(), close(1000, b"\xce\xba\xed\xa0\x80"), &[1007]),
        ("9: too large".to_owned(), frame(FIN | BINARY, vec![0_u8; 786_433]), &[1009]),
        ("9: too large in fragments".to_owned(), [frame(TEXT, &big), frame(FIN, &big)].concat(), &[1009]),
        // A length of 2^63 bytes, of which none follow.
        (
            "9: a length".to_owned(),
            [&[FIN | BINARY, FIN | 127, 0x80, 0, 0, 0, 0, 0, 0, 0][..], &[0; 4]].concat(),
            &[1009],
        ),
        ("12: compressed, and not agreed on".to_owned(), frame(FIN | 0x40 | TEXT, "a"), &[1002]),
    ];
    for reserved in [0x20, 0x10] {
        cases.push((format!("3: reserved bit {reserved:#x}"), frame(FIN | reserved | TEXT, "a"), &[1002]));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push((format!("4: opcode {opcode}"), frame(FIN | opcode, "a"), &[1002, 1003]));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        cases.push((format!("7.9: code {code}"), close(code, ""), &[1002]));
    }
    for (name, bytes, codes) in cases {
        let (frames, code) = exchange(&server, &bytes, bytes.len()).await;
        assert!(frames.is_empty() && code.is_some_and(|code| codes.contains(&code)), "{name}: {frames:?} {code:?}");
    }
    until("all are closed", async || (show(&server, "wire").await["open"] == 0).then_some(())).await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_and_what_follows_it_is_nobodys() {
    let server = echo(&[]);
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        let reason = "x".repeat(123);
        let bytes = [close(code, &reason), frame(FIN | TEXT, "late"), frame(FIN | PING, "late")].concat();
        assert_eq!(exchange(&server, &bytes, bytes.len()).await, (Vec::new(), Some(code)));
    }
    let without = frame(FIN | CLOSE, "");
    assert_eq!(exchange(&server, &without, without.len()).await, (Vec::new(), Some(1005)));
    until("all are closed", async || (show(&server, "wire").await["open"] == 0).then_some(())).await;
    let closes = show(&server, "wire").await;
    assert_eq!(closes["closes"].as_array().and_then(|all| all.last()), Some(&json!([1005, ""])));
}

#[tokio::test]
async fn a_connection_that_is_lost_is_told_to_the_worker_and_a_quiet_one_is_asked() {
    let server = echo(&["--websocket-ping-interval-ms", "100"]);
    drop(open(&server, "lost").await);
    let closes = || async { (show(&server, "lost").await["closes"] == json!([[1006, ""]])).then_some(()) };
    until("the worker knows", closes).await;
    // It is asked, and says nothing.
    let mut quiet = open(&server, "quiet").await;
    assert_eq!(tokio::time::timeout(PATIENCE, read(&mut quiet)).await.expect("a ping"), Some((PING, Vec::new())));
    let ended = tokio::time::timeout(PATIENCE, async { while read(&mut quiet).await.is_some() {} });
    ended.await.expect("the server gives up");
    until("the worker knows", async || (show(&server, "quiet").await["closes"][0][0] == 1006).then_some(())).await;
    // The second look at the socket finds it idle, however late the pong to the first one's ping comes; a pong that
    // counted as a message would keep it open.
    let server = echo(&["--websocket-idle-timeout-ms", "150", "--websocket-ping-interval-ms", "100"]);
    let mut idle = open(&server, "idle").await;
    let code = async {
        loop {
            match read(&mut idle).await {
                Some((PING, _)) => {
                    let _ = idle.write_all(&frame(FIN | PONG, "")).await; // the server may have closed by now
                }
                other => return other.map(|(opcode, payload)| (opcode, payload[..2].to_vec())),
            }
        }
    };
    let code = tokio::time::timeout(PATIENCE, code).await.expect("the server closes");
    assert_eq!(code, Some((CLOSE, 1001_u16.to_be_bytes().to_vec())));
}

#[tokio::test]
async fn a_client_that_does_not_read_its_pongs_is_not_read_either() {
    let server = echo(&["--write-timeout-ms", "5000"]);
    let mut stream = open(&server, "pings").await;
    let pings = frame(FIN | PING, [b'x'; 125]).repeat(1_000);
    // More than the buffers of both ends hold.
    let write = async {
        for _ in 0..500 {
            stream.write_all(&pings).await?;
        }
        std::io::Result::Ok(())
    };
    let written = tokio::time::timeout(PATIENCE, write).await.expect("the server ends the connection");
    assert!(written.is_err(), "the server took all pings");
    until("the worker knows", async || (show(&server, "pings").await["closes"] == json!([[1006, ""]])).then_some(()))
        .await;
}

#[tokio::test]
async fn a_route_of_a_platform_takes_sockets_within_its_rules() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let socket = json!({ "class": "Echo", "name": "{room}", "sockets": true });
    let settings = json!({ "capabilities": { "workers": {} }, "smoke": { "path": "" }, "gateway": { "routes": [
        { "path": "/" },
        { "path": "/plain/{room}", "worker": { "class": "Echo", "name": "{room}", "method": "show" } },
        {
            "path": "/rooms/{room}",
            "methods": ["GET"],
            "worker": socket,
            "cors": { "origins": ["https://shop.test"] },
        },
        { "path": "/mine/{room}", "worker": socket, "auth": { "api-key": { "header": "x-api-key" } } },
    ] } });
    team.serve("echo", &ECHO_COMPONENT, settings).await;
    let host = team.host("echo");
    let with = |field: &str| format!("host: {host}\r\n{field}");
    for (target, field, status, code) in [
        ("/", "x-a: b", 501, "upgrade-not-supported"),
        ("/plain/a", "x-a: b", 501, "upgrade-not-supported"),
        ("/rooms/a", "origin: https://other.test", 403, "socket-origin"),
        ("/rooms/a", "sec-websocket-protocol: unknown", 403, "socket-refused"),
        ("/mine/a", "x-a: b", 401, "unauthenticated"),
    ] {
        let (mut stream, head) = ask(platform.address, target, &with(field)).await;
        let mut body = vec![0; 1_024];
        let count = tokio::time::timeout(PATIENCE, stream.read(&mut body)).await.expect("a body").expect("a body");
        let body = String::from_utf8_lossy(&body[..count]).into_owned();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{target}, {field}: {head}");
        assert!(body.contains(&format!(r#""code":"{code}""#)), "{target}, {field}: {body}");
    }
    for field in ["x-a: b", "origin: https://shop.test"] {
        let (mut stream, head) = ask(platform.address, "/rooms/a", &with(field)).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{field}: {head}");
        stream.write_all(&frame(FIN | TEXT, "hello")).await.expect("it reads");
        let echoed = tokio::time::timeout(PATIENCE, read(&mut stream)).await.expect("an answer");
        assert_eq!(echoed, Some((TEXT, b"hello".to_vec())), "{field}");
        stream.write_all(&close(1000, "")).await.expect("it reads");
        let closed = tokio::time::timeout(PATIENCE, read(&mut stream)).await.expect("an answer");
        assert_eq!(closed.map(|(opcode, _)| opcode), Some(CLOSE));
    }
    let shown = async || {
        let shown = platform.ask(&host, "/plain/a").await.json();
        (shown == json!({ "open": 0, "closes": [[1000, ""], [1000, ""]] })).then_some(())
    };
    until("the worker knows", shown).await;
}

#[tokio::test]
async fn a_route_of_a_project_leads_a_socket_to_its_worker() {
    let config = "[capabilities.workers]\n\
        [[gateway.routes]]\npath = \"/rooms/{room}\"\n\
        worker = { class = \"Echo\", name = \"{room}\", sockets = true }\n\
        cors = { origins = [\"https://shop.test\"] }\n\
        [[gateway.routes]]\npath = \"/mute\"\nworker = { class = \"Echo\", name = \"a\" }\n\
        [[gateway.routes]]\n";
    let project = Project::new(&[("elias.toml", config)]);
    project.write("app.wasm", &*ECHO_COMPONENT);
    let server = Server::of_project(project, "app.wasm", &[]);
    for fields in ["host: here.test", "host: here.test\r\norigin: https://shop.test"] {
        let (mut stream, head) = ask(server.address, "/rooms/one", fields).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream.write_all(&frame(FIN | TEXT, "hello")).await.expect("it reads");
        assert_eq!(read(&mut stream).await, Some((TEXT, b"hello".to_vec())));
    }
    for (path, fields, status) in [
        ("/rooms/one", "host: here.test\r\norigin: https://other.test", "403"),
        ("/mute", "host: here.test", "405"),
        ("/else", "host: here.test", "501"),
    ] {
        let (_, head) = ask(server.address, path, fields).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
    }
}
