//! The acts of the server before a component is called, over real sockets. The component's side is tested end to end,
//! in the workspace's `tests`.

use elias_server::{AppSource, DrainReport, Server, ServerConfig};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The longest that a test waits for anything; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server without a component: it answers 503 to all that it lets through.
struct TestServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<DrainReport>,
}

impl TestServer {
    async fn start(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig { listen: "127.0.0.1:0".into(), ..ServerConfig::default() };
        change(&mut config);
        let server = Server::bind(config, AppSource::empty()).await.expect("a free port");
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(server.run(async move { drop(stopped.await) }));
        Self { address, stop: Some(stop), ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server accepts")
    }

    /// The bytes that come back for these until the server closes.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        let _ = stream.write_all(bytes.as_ref()).await; // the server may close before the end
        read_to_end(&mut stream).await
    }
}

/// All that comes until the connection ends, which it must.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = tokio::time::timeout(PATIENCE, async {
        let mut piece = [0; 4096];
        while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
            all.extend_from_slice(&piece[..bytes]);
        }
    });
    read.await.expect("the connection ends");
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads one response's head, and leaves the connection open.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).expect("text")
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.lines().filter_map(|line| line.split_once("HTTP/1.1 ")?.1.get(..3)).collect()
}

#[tokio::test]
async fn answers_for_itself() {
    let server = TestServer::start(|_| {}).await;
    let answer = server.exchange("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200"]);
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    assert!(answer.contains("\r\ndate: "), "{answer}");

    let answer = server.exchange("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["503"]);
    assert!(answer.contains("application/problem+json") && answer.contains(r#""code":"no-component""#), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
}

#[tokio::test]
async fn head_requests_have_no_body() {
    let server = TestServer::start(|_| {}).await;
    let answer = server.exchange("HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["503"]);
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn refuses_by_the_table() {
    let server = TestServer::start(|config| {
        config.uri_bytes = 100;
        config.head_bytes = 4000;
        config.request_bytes = 10;
    })
    .await;
    let long = "x".repeat(200);
    let large = "x".repeat(5000);
    let huge = "x".repeat(100_000);
    let many = "a: b\r\n".repeat(101);
    let cases = [
        (format!("GET /{long} HTTP/1.1\r\nhost: a\r\n"), "414"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nlarge: {large}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nhuge: {huge}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}"), "431"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n".into(), "413"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n".into(), "501"),
        // An offer that may be passed over: there is no component.
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n".into(), "503"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n".into(), "400"),
        ("GET a HTTP/1.1\r\nhost: a\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nbad name: 1\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nfolded: 1\r\n 2\r\n".into(), "400"),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n".into(), "501"),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n".into(), "204"),
    ];
    for (head, status) in cases {
        let answer = server.exchange(format!("{head}connection: close\r\n\r\n")).await;
        assert_eq!(statuses(&answer), [status], "{:.80}", head);
    }
}

/// Of two ways to frame a body, a proxy before this server might have taken the other one: what follows the body must
/// never be taken for a request.
#[tokio::test]
async fn serves_no_smuggled_request() {
    let server = TestServer::start(|_| {}).await;
    let smuggled = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let cases = [
        // hyper takes the chunks, as RFC 9112 6.1 allows, and closes after the answer.
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n"),
        ("content-length: 0\r\ncontent-length: 5\r\n", ""),
        ("content-length: 0, 5\r\n", ""),
        ("content-length: +0\r\n", ""),
        ("transfer-encoding: identity\r\n", ""),
        ("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("transfer-encoding : chunked\r\n", "0\r\n\r\n"),
    ];
    for (fields, body) in cases {
        let answer = server.exchange(format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n{body}{smuggled}")).await;
        assert!(!statuses(&answer).contains(&"200"), "{fields:?}: {answer}");
        assert!(statuses(&answer).len() <= 1, "{fields:?}: {answer}");
    }
    let answer =
        server.exchange(format!("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}")).await;
    assert!(!answer.contains(" 200 "), "{answer}");
}

/// The client goes on sending while the refusal is on its way: it must still get to read it.
#[tokio::test]
async fn a_refusal_survives_an_unread_body() {
    let server = TestServer::start(|config| config.request_bytes = 10).await;
    let body = "x".repeat(500_000);
    for _ in 0..10 {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
        assert_eq!(statuses(&server.exchange(head + &body).await), ["413"]);
    }
}

#[tokio::test]
async fn closes_on_clients_that_do_not_finish_a_head() {
    let server = TestServer::start(|config| config.head_timeout_ms = 50).await;
    for start in ["", "GET / HTTP/1.1\r\nho", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = server.connect().await;
        stream.write_all(start.as_bytes()).await.expect("open");
        read_to_end(&mut stream).await;
    }
    // The clock does not start anew with every byte, and runs for the second request too.
    let mut stream = server.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("open");
    read_head(&mut stream).await;
    let (mut reading, mut writing) = stream.into_split();
    let drip = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat_n(&b'x', 100_000)) {
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection ends");
    drip.abort();
}

#[tokio::test]
async fn closes_idle_connections() {
    let server = TestServer::start(|config| config.idle_timeout_ms = 50).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("open");
    let answer = read_to_end(&mut stream).await;
    assert_eq!(statuses(&answer), ["200"]);
}

#[tokio::test]
async fn an_idle_connection_outlives_the_heads_timeout() {
    let server = TestServer::start(|config| config.head_timeout_ms = 1_000).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("open");
        assert!(read_head(&mut stream).await.contains("200 OK"));
        stream.read_exact(&mut [0; 3]).await.expect("ok and a newline");
        // One that is opened now and says nothing is closed, so the timeout is over.
        read_to_end(&mut server.connect().await).await;
    }
}

#[tokio::test]
async fn accepts_no_more_than_allowed_and_refuses_nobody() {
    let server = TestServer::start(|config| config.connections = 1).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("open");
    read_head(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("in the kernel's queue");
    let is_closed = Cell::new(false);
    let waits = async {
        assert!(read_head(&mut second).await.contains("200 OK"), "it gets its turn");
        assert!(is_closed.get(), "the second waits for the end of the first");
    };
    let works = async {
        for _ in 0..3 {
            first.read_exact(&mut [0; 3]).await.expect("ok and a newline");
            first.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("open");
            assert!(read_head(&mut first).await.contains("200 OK"));
        }
        is_closed.set(true);
        drop(first);
    };
    tokio::join!(waits, works);
}

#[tokio::test]
async fn draining_closes_what_is_idle_and_ends() {
    let mut server = TestServer::start(|_| {}).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("open");
    read_head(&mut idle).await;
    drop(server.stop.take());
    read_to_end(&mut idle).await;
    let drained = tokio::time::timeout(PATIENCE, server.ended).await;
    assert_eq!(drained.expect("in time").expect("no panic"), DrainReport { cut: 0 });
}

#[tokio::test]
async fn a_taken_port_has_a_name() {
    let server = TestServer::start(|_| {}).await;
    let bind = |listen: String| Server::bind(ServerConfig { listen, ..ServerConfig::default() }, AppSource::empty());
    let code = |bound: Result<Server, elias_server::ServeError>| bound.err().map(|error| error.code());
    assert_eq!(code(bind(server.address.to_string()).await), Some("address-in-use"));
    for nonsense in ["", "nonsense", "1.2.3.4.5:1", "127.0.0.1:99999", "203.0.113.1:0"] {
        assert_eq!(code(bind(nonsense.into()).await), Some("address-invalid"), "{nonsense:?}");
    }
}
