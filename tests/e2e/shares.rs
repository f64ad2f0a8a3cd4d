//! The shares of one client, one component and one connection in the host: its cores, its places, its memory.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::{PATIENCE, Server};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Opens a connection and asks for something, without reading the answer. Its socket's buffer is small.
async fn slow_reader(address: std::net::SocketAddr, host: &str, path: &str) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads requests");
    stream
}

/// Reads the beginning of the answer, so that it is known to be under way.
async fn begins(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 1024];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.expect("something happens");
    String::from_utf8_lossy(&bytes[..read.expect("an answer")]).into_owned()
}

/// Reads until the connection ends, which it must do before the body is whole.
async fn broken_off(mut stream: TcpStream) -> Result<(), &'static str> {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all).await;
    drop(read); // a connection that is broken off may end with an error
    if all.ends_with(b"0\r\n\r\n") { Err("the body is whole") } else { Ok(()) }
}

/// A gauge of the platform's metrics.
async fn gauge(platform: &Platform, name: &str) -> u64 {
    let request = http::Request::get("/").header("authorization", format!("Bearer {}", platform.token));
    let metrics = platform.call(request, "/v1/metrics", "").await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("elias_{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in {metrics}")).parse().expect("a whole number")
}

/// A component that spins for ever at `/spin`, fills its memory again and again at `/grow`, and answers elsewhere.
const HOG: &str = r#"
export default {
  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path === "/spin") for (;;) {}
    if (path === "/grow") for (;;) {
      const all = [];
      try { for (;;) all.push(new Uint8Array(1 << 20).fill(1)); } catch { /* it is full */ }
    }
    return new Response("hog");
  },
};
"#;

#[tokio::test]
async fn a_neighbour_is_answered_while_a_hundred_of_another_tenant_want_the_cores() {
    let flags = ["--fuel", "1000000000000", "--deadline-ms", "600000", "--memory-bytes", "16777216"];
    let platform = Platform::start(&flags);
    let (hogs, team) = (platform.new_tenant("hogs", json!({})).await, platform.new_tenant("team", json!({})).await);
    hogs.serve("hog", &component(HOG), json!({})).await;
    team.serve("shop", &component("export default { fetch: () => new Response('shop') };"), json!({})).await;
    for path in ["/spin", "/grow"] {
        let host = hogs.host("hog");
        let clients = (0..100).map(|_| slow_reader(platform.address, &host, path));
        let mut clients = futures::future::join_all(clients).await;
        until("all of them want to run", async || {
            let wants = gauge(&platform, "executions_running").await + gauge(&platform, "executions_runnable").await;
            (wants >= 100).then_some(())
        })
        .await;
        // In the order of their arrival it would be after all of them, who never end.
        for _ in 0..20 {
            assert_eq!(team.get("shop", "/").await.body, "shop");
        }
        for client in &mut clients {
            let nothing = client.try_read(&mut [0; 1]);
            assert!(nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{path} goes on");
        }
        let cores = gauge(&platform, "cpu_cores").await;
        assert!(gauge(&platform, "executions_running").await <= cores);
        drop(clients);
        until("they are gone", async || (gauge(&platform, "executions_in_flight").await == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn a_tenant_leaves_executions_of_the_host_to_others_however_many_it_wants() {
    let flags = ["--concurrent-executions", "8", "--fuel", "1000000000000", "--deadline-ms", "600000"];
    let platform = Platform::start(&flags);
    let (hogs, team) = (platform.new_tenant("hogs", json!({})).await, platform.new_tenant("team", json!({})).await);
    hogs.serve("hog", &component(HOG), json!({})).await;
    team.serve("shop", &component("export default { fetch: () => new Response('shop') };"), json!({})).await;
    let host = hogs.host("hog");
    let _clients = futures::future::join_all((0..30).map(|_| slow_reader(platform.address, &host, "/spin"))).await;
    // The service may have all eight, and its tenant three quarters of them: two wait for the host.
    until("eight are under way", async || (gauge(&platform, "executions_in_flight").await == 8).then_some(())).await;
    for _ in 0..20 {
        assert_eq!(team.get("shop", "/").await.body, "shop");
    }
    assert_eq!(gauge(&platform, "executions_running").await + gauge(&platform, "executions_runnable").await, 6);
}

#[tokio::test]
async fn who_reads_a_file_slowly_has_no_execution_and_others_are_answered() {
    let flags = ["--concurrent-executions", "4", "--queued-requests", "0", "--requests-per-service", "300"];
    let platform = Platform::start(&flags);
    let (slow, team) = (platform.new_tenant("slow", json!({})).await, platform.new_tenant("team", json!({})).await);
    let source = component("export default { fetch: () => new Response('answered') };");
    let file = slow.upload(&vec![7; 30 << 20]).await;
    let settings = json!({ "files": { "public/big.bin": file }, "gateway": { "assets": { "folder": "public" } } });
    slow.serve("files", &source, settings).await;
    team.serve("shop", &source, json!({})).await;
    let host = slow.host("files");
    let mut readers =
        futures::future::join_all((0..300).map(|_| slow_reader(platform.address, &host, "/big.bin"))).await;
    for reader in &mut readers {
        let begun = begins(reader).await;
        assert!(begun.starts_with("HTTP/1.1 200 OK"), "{begun}");
    }
    assert_eq!(gauge(&platform, "executions_in_flight").await, 0);
    for _ in 0..20 {
        assert_eq!(team.get("shop", "/").await.body, "answered", "another tenant");
    }
    // One more of the service is over its share, which the refusal names.
    let over = slow.get("files", "/").await;
    assert_eq!((over.status, over.code().as_str()), (503, "service-requests"));
    assert!(over.headers.contains_key("retry-after"));
    readers.pop();
    until("one of them is gone", async || (slow.get("files", "/").await.body == "answered").then_some(())).await;
}

#[tokio::test]
async fn who_reads_a_cached_response_slowly_has_no_execution_either() {
    let platform = Platform::start(&["--concurrent-executions", "2", "--queued-requests", "0"]);
    let (slow, team) = (platform.new_tenant("slow", json!({})).await, platform.new_tenant("team", json!({})).await);
    let large = "const headers = { 'cache-control': 'max-age=600' };
        export default { fetch: () => new Response(new Uint8Array(2 << 20), { headers }) };";
    slow.serve("large", &component(large), json!({ "gateway": { "cache": { "max-bytes": 4 << 20 } } })).await;
    team.serve("shop", &component("export default { fetch: () => new Response('answered') };"), json!({})).await;
    let host = slow.host("large");
    // The response is stored once it was read.
    let mut first = slow_reader(platform.address, &host, "/").await;
    let (mut read, mut bytes) = (0, vec![0; 64 << 10]);
    while read < 2 << 20 {
        let more = tokio::time::timeout(PATIENCE, first.read(&mut bytes)).await.expect("something happens");
        read += more.expect("a part of the response");
    }
    until("it is stored", async || {
        let mut reader = slow_reader(platform.address, &host, "/").await;
        begins(&mut reader).await.contains("elias; hit").then_some(())
    })
    .await;
    let mut readers = futures::future::join_all((0..50).map(|_| slow_reader(platform.address, &host, "/"))).await;
    for reader in &mut readers {
        let begun = begins(reader).await;
        assert!(begun.starts_with("HTTP/1.1 200 OK") && begun.contains("elias; hit"), "{begun:.500}");
    }
    assert_eq!(gauge(&platform, "executions_in_flight").await, 0);
    for _ in 0..20 {
        assert_eq!(team.get("shop", "/").await.body, "answered");
    }
}

#[tokio::test]
async fn an_address_has_a_share_of_the_connections_and_of_the_requests() {
    // The headers of `/wait` tell that the request counts from now on.
    let waits = r#"
        const wait = async (controller) => {
          controller.enqueue(new Uint8Array(1));
          await new Promise((resolve) => setTimeout(resolve, 25_000));
          controller.close();
        };
        export default {
          fetch: ({ url }) => new Response(url.endsWith("/wait") ? new ReadableStream({ start: wait }) : "here"),
        };
    "#;
    let server = Server::of(waits, &["--connections-per-address", "3"]);
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut connection = slow_reader(server.address, "a", "/").await;
        assert!(begins(&mut connection).await.starts_with("HTTP/1.1 200"));
        open.push(connection);
    }
    let refused = server.raw(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("address-connections"), "{refused}");
    open.pop();
    until("there is room again", async || {
        let answer = server.raw(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        answer.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
    drop(open);

    let server = Server::of(waits, &["--requests-per-address", "2"]);
    let mut held = [slow_reader(server.address, "a", "/wait").await, slow_reader(server.address, "a", "/wait").await];
    for reader in &mut held {
        let begun = begins(reader).await;
        assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    }
    let third = server.get("/").await;
    assert_eq!((third.status, third.code().as_str()), (429, "address-requests"));
    drop(held);
    until("there is room again", async || (server.get("/").await.body == "here").then_some(())).await;

    // Of clients behind a proxy each has its own, and the proxy's connections are not counted.
    let flags = ["--requests-per-address", "1", "--connections-per-address", "1", "--forwarded-hops", "1"];
    let server = Server::of(waits, &flags);
    let ask = |client: &'static str| {
        let request = http::Request::get("/").header("x-forwarded-for", client);
        server.send(request, "/", "")
    };
    let mut waiting = slow_reader(server.address, "a\r\nx-forwarded-for: 192.0.2.1", "/wait").await;
    let begun = begins(&mut waiting).await;
    assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    assert_eq!(ask("192.0.2.1").await.status, 429, "the client's second");
    assert_eq!(ask("192.0.2.2").await.body, "here", "another client");
}

/// A component that answers with so many megabytes, goes on after its answer, or answers at once.
const WRITER: &str = r#"
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export default {
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    const megabytes = Number(searchParams.get("mb"));
    if (pathname === "/background") ctx.waitUntil(sleep(Number(searchParams.get("ms"))));
    if (pathname === "/whole") return new Response(new Uint8Array(megabytes << 20));
    if (pathname === "/stream") {
      let left = megabytes * 16;
      return new Response(new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue(new Uint8Array(1 << 16).fill(1));
          else controller.close();
        },
      }));
    }
    return new Response("answered");
  },
};
"#;

#[tokio::test]
async fn behind_executions_that_go_on_after_their_answer_requests_wait_for_their_turn() {
    let flags = ["--concurrent-executions", "4", "--queue-timeout-ms", "20000", "--deadline-ms", "30000"];
    let server = Server::of(WRITER, &flags);
    let four = async |path: &str| {
        let answers = futures::future::join_all((0..4).map(|_| server.get(path))).await;
        answers.into_iter().map(|answer| answer.status).collect::<Vec<_>>()
    };
    assert_eq!(four("/background?ms=700").await, [200; 4]);
    assert_eq!(four("/").await, [200; 4], "they wait until the four are through");
    // While the places are taken and nobody may wait, it is the same refusal in both cases.
    let server = Server::of(WRITER, &["--concurrent-executions", "1", "--queued-requests", "0"]);
    assert_eq!(server.get("/background?ms=5000").await.status, 200);
    assert_eq!(server.get("/").await.code(), "overloaded");
    until("it has ended", async || (server.get("/").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_slow_reader_of_a_components_answer_keeps_nobody_out() {
    let flags = ["--concurrent-executions", "2", "--queue-timeout-ms", "50000", "--deadline-ms", "600000"];
    let flags = [&flags[..], &["--fuel", "100000000000", "--write-timeout-ms", "600000"]].concat();
    let server = Server::of(WRITER, &flags);
    // A response that fits into the buffers is out of the guest's hands: its place is free though nobody reads.
    let mut small = Vec::new();
    for _ in 0..8 {
        small.push(slow_reader(server.address, "a", "/stream?mb=1").await);
    }
    for reader in &mut small {
        assert!(begins(reader).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(server.get("/").await.body, "answered");
    // One that does not fit keeps its place as long as nobody wants it, and is broken off when somebody does.
    let mut large = Vec::new();
    for _ in 0..2 {
        large.push(slow_reader(server.address, "a", "/stream?mb=60").await);
    }
    for reader in &mut large {
        assert!(begins(reader).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(server.get("/").await.body, "answered");
    // One was broken off; the other may go on for as long as its client takes to read.
    let broken = futures::future::select_ok(large.into_iter().map(|reader| Box::pin(broken_off(reader))));
    tokio::time::timeout(PATIENCE, broken).await.expect("something happens").expect("it does not look whole");
    server.logged("slow-client").await;
    for reader in small {
        let body = rest_of_chunked(reader).await;
        // Some of it came with the headers.
        assert!(body > (1 << 20) - 1024, "a slow reader still gets all: {body}");
    }
}

#[tokio::test]
async fn a_slow_reader_of_the_answer_to_an_idempotent_request_keeps_nobody_out() {
    let flags = ["--concurrent-executions", "1", "--queue-timeout-ms", "50000", "--deadline-ms", "600000"];
    let flags = [&flags[..], &["--fuel", "100000000000", "--write-timeout-ms", "600000"]].concat();
    let platform = Platform::start(&flags);
    let team = platform.new_tenant("team", json!({})).await;
    let writer = component(WRITER);
    team.serve("shop", &writer, json!({ "gateway": { "idempotency": {} } })).await;
    team.serve("other", &writer, json!({})).await;
    let host = team.host("shop");
    let mut stream = TcpStream::connect(platform.address).await.expect("it listens");
    let head =
        format!("POST /stream?mb=60 HTTP/1.1\r\nhost: {host}\r\nidempotency-key: k\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it reads requests");
    assert!(begins(&mut stream).await.starts_with("HTTP/1.1 200"));
    // The host's only place is taken by a guest whose client does not read, and another service's request wants it.
    assert_eq!(platform.ask(&team.host("other"), "/").await.body, "answered");
    broken_off(stream).await.expect("it does not look whole");
}

/// Reads a chunked body to its last chunk; gives the bytes that came.
async fn rest_of_chunked(mut stream: TcpStream) -> usize {
    let (mut count, mut tail, mut bytes) = (0, Vec::new(), vec![0; 64 << 10]);
    while !tail.ends_with(b"0\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.expect("something happens");
        let read = read.expect("it is not broken off");
        assert!(read > 0, "it is not broken off");
        count += read;
        tail.extend_from_slice(&bytes[..read]);
        tail.drain(..tail.len().saturating_sub(8));
    }
    count
}

type Http2 = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

/// An HTTP/2 connection whose streams may be sent so many bytes.
async fn http2(address: std::net::SocketAddr, window: u32) -> Http2 {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut Http2, host: &str, path: &str) -> http::Response<Incoming> {
    let request = http::Request::get(format!("http://{host}{path}")).body(Empty::new()).expect("well formed");
    sender.ready().await.expect("it is open");
    tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("something happens").expect("an answer")
}

#[tokio::test]
async fn what_waits_for_the_windows_of_a_connection_is_bounded_and_given_back() {
    let flags = ["--queue-timeout-ms", "1000", "--deadline-ms", "600000", "--write-timeout-ms", "600000"];
    let platform = Platform::start(&flags);
    let team = platform.new_tenant("team", json!({})).await;
    team.serve("shop", &component(WRITER), json!({})).await;
    let host = team.host("shop");
    let before = gauge(&platform, "response_buffered_bytes").await;
    let sender = http2(platform.address, 0).await;
    let asked = (0..90).map(|_| {
        let (mut sender, host) = (sender.clone(), host.clone());
        async move { ask(&mut sender, &host, "/whole?mb=8").await }
    });
    let answers = futures::future::join_all(asked).await;
    let mut statuses = BTreeMap::<u16, usize>::new();
    for answer in &answers {
        *statuses.entry(answer.status().as_u16()).or_default() += 1;
    }
    // Some have begun, and wait for the client; the others were told to, and did not run.
    assert!(statuses[&200] <= 40 && statuses[&200] + statuses[&429] == 90, "{statuses:?}");
    let in_flight = gauge(&platform, "executions_in_flight").await;
    assert!(in_flight <= 40, "{in_flight}: {statuses:?}");
    let waiting = gauge(&platform, "response_buffered_bytes").await;
    assert!(waiting <= before + (4 << 20), "{waiting} bytes");
    // Another connection has its own share.
    let mut other = http2(platform.address, 64 << 10).await;
    let answer = ask(&mut other, &host, "/whole?mb=2").await;
    let body = answer.into_body().collect().await.expect("it is whole").to_bytes();
    assert_eq!(body.len(), 2 << 20);
    drop((answers, sender));
    until("all is given back", async || {
        let left = [gauge(&platform, "executions_in_flight").await, gauge(&platform, "executions_stalled").await];
        (left == [0, 0] && gauge(&platform, "response_buffered_bytes").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_guest_is_not_asked_for_more_than_its_client_takes() {
    let source = r#"
        export default {
          fetch() {
            let count = 0;
            return new Response(new ReadableStream({
              pull(controller) {
                controller.enqueue(new Uint8Array(1 << 16));
                if (++count % 16 === 0) console.log(`pulled ${count >> 4} MiB`);
              },
            }));
          },
        };
    "#;
    let flags = ["--deadline-ms", "600000", "--fuel", "100000000000", "--log-bytes-per-second", "10000000"];
    let server = Server::of(source, &flags);
    let mut sender = http2(server.address, 0).await;
    let answer = ask(&mut sender, "a", "/").await;
    server.logged("pulled 1 MiB").await;
    // Others are answered meanwhile, and the guest gets no further than the buffers on the way.
    for _ in 0..20 {
        let other = ask(&mut http2(server.address, 64 << 10).await, "a", "/").await;
        drop(other);
    }
    assert!(!server.log().contains("pulled 12 MiB"), "{}", server.log());
    drop(answer);
}
