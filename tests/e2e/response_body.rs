//! A response's body on the wire: its length is its own, what breaks off is seen to be broken off, and the log says
//! why.

use elias_tests::build::{Project, component};
use elias_tests::serve::{PATIENCE, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A component whose paths are functions of this source. `client` is there once the client has sent its body.
fn source(functions: &str) -> String {
    format!(
        r#"
        const bytes = (text) => new TextEncoder().encode(text);
        const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        const copied = {{ "content-length": "10", "x-copied": "yes" }};
        let client;
        const streamed = (start, init) => new Response(new ReadableStream({{ start }}), init);
        const functions = {{ {functions} }};
        export default {{
          fetch(request) {{
            client = request.arrayBuffer();
            return functions[new URL(request.url).pathname.slice(1)](request);
          }},
        }};
        "#
    )
}

/// The bytes that come back for one request on a connection that the server may keep open.
async fn raw(server: &Server, method: &str, path: &str) -> String {
    server.raw(format!("{method} /{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()).await
}

/// The same for a request whose body is sent once the headers of the response are there, whatever time that takes.
async fn begun(server: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.expect("it listens");
    let head = format!("POST /{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let mut response = Vec::new();
    while !response.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut response)).await.expect("something happens");
        assert!(read.expect("headers") > 0, "{path}: {}", String::from_utf8_lossy(&response));
    }
    stream.write_all(b"x").await.expect("it reads");
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut response)).await.expect("something happens");
    drop(read); // a reset ends the response too
    String::from_utf8_lossy(&response).into_owned()
}

fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let (headers, _) = response.split_once("\r\n\r\n")?;
    headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Whether a response in chunks came to its end (RFC 9112, section 8).
fn is_complete(response: &str) -> bool {
    response.ends_with("0\r\n\r\n")
}

/// The log's event with this code and this text in it.
async fn failure(server: &Server, code: &str, text: &str) -> Value {
    let log = server.logged(text).await;
    let line = log.lines().find(|line| line.contains(text) && line.contains(code));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no {code} with {text} in {log}"))).expect("a line is JSON")
}

#[tokio::test]
async fn a_body_that_is_whole_has_its_own_length() {
    let server = Server::of(
        &source(
            r#"
            longer: () => new Response("x".repeat(25), { headers: copied }),
            shorter: () => new Response("x", { headers: copied }),
            bytes: () => new Response(new Uint8Array([120, 120]), { headers: copied }),
            blob: () => new Response(new Blob(["xxx"]), { headers: copied }),
            form: () => new Response(new URLSearchParams({ a: "b" }), { headers: copied }),
            json: () => Response.json("x".repeat(20), { headers: copied }),
            nothing: () => new Response(null, { headers: copied }),
            empty: () => new Response("", { headers: copied }),
            nonsense: () => new Response("xx", { headers: { "content-length": "many" } }),
            twice: () => new Response("xx", { headers: [["content-length", "1"], ["content-length", "2"]] }),
            notModified: () => new Response(null, { status: 304, headers: copied }),
            moved: () => Response.redirect("https://a.example/", 302),
            seeOther: () => new Response(null, { status: 303, headers: { location: "/" } }),
            created: () => new Response(undefined, { status: 201 }),
            background: (request) => new Response("xx", { headers: copied }),
            "#,
        ),
        &[],
    );
    for (path, length) in [
        ("longer", "25"),
        ("shorter", "1"),
        ("bytes", "2"),
        ("blob", "3"),
        ("form", "3"),
        ("json", "22"),
        ("nothing", "0"),
        ("empty", "0"),
        ("nonsense", "2"),
        ("twice", "2"),
        ("background", "2"),
    ] {
        let response = raw(&server, "GET", path).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{path}: {response}");
        assert_eq!(header(&response, "content-length"), Some(length), "{path}: {response}");
        assert_eq!(body(&response).len().to_string(), length, "{path}: {response}");
    }
    // The length that GET would give is the handler's to say without a body, and the text's with one.
    for (path, length) in [("nothing", "10"), ("shorter", "1"), ("longer", "25")] {
        let response = raw(&server, "HEAD", path).await;
        assert_eq!((header(&response, "content-length"), body(&response)), (Some(length), ""), "{path}: {response}");
    }
    // Whatever the status, what has no body is not sent in chunks.
    for (path, status) in [("moved", 302), ("seeOther", 303), ("created", 201)] {
        let response = raw(&server, "GET", path).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {response}");
        assert_eq!(header(&response, "content-length"), Some("0"), "{path}: {response}");
        assert_eq!((header(&response, "transfer-encoding"), body(&response)), (None, ""), "{path}: {response}");
    }
    let response = raw(&server, "GET", "notModified").await;
    assert!(response.starts_with("HTTP/1.1 304") && body(&response).is_empty(), "{response}");
}

#[tokio::test]
async fn a_stream_is_never_taken_for_another_length_than_it_has() {
    let server = Server::of(
        &source(
            r#"
            exact: () => new Response(stream("abcde", "fghij"), { headers: copied }),
            short: () => new Response(stream("abc"), { headers: copied }),
            long: () => new Response(stream("abcde", "fghij", "k"), { headers: copied }),
            atOnce: () => new Response(stream("abcdefghijk"), { headers: copied }),
            nothing: () => new Response(stream(), { headers: copied }),
            nonsense: () => new Response(stream("a"), { headers: { "content-length": "many" } }),
            grown: () => new Response(stream("abcdefghij").pipeThrough(new TransformStream({
              transform(chunk, controller) { controller.enqueue(chunk); controller.enqueue(chunk); },
            })), { headers: copied }),
            "#,
        )
        .replace(
            "const functions",
            r#"
            const stream = (...parts) => new ReadableStream({
              async pull(controller) {
                await sleep(2);
                if (parts.length === 0) controller.close();
                else controller.enqueue(bytes(parts.shift()));
              },
            }, { highWaterMark: 0 });
            const functions"#,
        ),
        &[],
    );
    let exact = raw(&server, "GET", "exact").await;
    assert_eq!((header(&exact, "content-length"), body(&exact)), (Some("10"), "abcdefghij"));
    assert_eq!(header(&exact, "transfer-encoding"), None);
    for path in ["short", "long"] {
        let response = raw(&server, "GET", path).await;
        assert!(response.starts_with("HTTP/1.1 200") && body(&response).len() < 10, "{path}: {response}");
    }
    // Nothing was sent yet, so there is time for an error response.
    for path in ["atOnce", "nothing", "nonsense", "grown"] {
        let answer = server.get(&format!("/{path}")).await;
        assert_eq!((answer.status, answer.code()), (500, "exception".to_owned()), "{path}: {answer:?}");
    }
    failure(&server, "exception", "ended after 3 bytes; its content-length says 10").await;
    failure(&server, "exception", "more bytes than its content-length says, which is 10").await;
    let head = raw(&server, "HEAD", "short").await;
    assert_eq!((header(&head, "content-length"), body(&head)), (Some("10"), ""), "{head}");
}

#[tokio::test]
async fn a_body_that_can_never_go_on_is_broken_off() {
    let server = Server::of(
        &source(
            r#"
            start: () => streamed(async (c) => {
              c.enqueue(bytes("part")); await client; await new Promise(() => {});
            }),
            pull: () => {
              let pulls = 0;
              const pull = async (c) => {
                await client;
                if (pulls++ > 0) await new Promise(() => {});
                c.enqueue(bytes("part"));
              };
              return new Response(new ReadableStream({ pull }));
            },
            open: () => streamed(async (c) => { await client; c.enqueue(bytes("part")); }),
            writer: () => {
              const { readable, writable } = new TransformStream();
              client.then(() => writable.getWriter().write(bytes("part")));
              return new Response(readable);
            },
            generator: () => new Response((async function* () {
              yield bytes("part");
              await client;
              await new Promise(() => {});
            })()),
            atOnce: () => new Response(new ReadableStream({ start(c) { c.enqueue(bytes("part")); } })),
            length: () => streamed(async (c) => { await client; c.enqueue(bytes("part")); }, { headers: copied }),
            "#,
        ),
        &[],
    );
    for (times, path) in ["start", "pull", "open", "writer", "generator"].into_iter().enumerate() {
        let response = begun(&server, path).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{path}: {response}");
        assert!(!is_complete(&response), "{path}: {response}");
        assert!(body(&response).contains("part"), "{path}: what was written arrives: {response}");
        server.logged_times("the response's body never ends", times + 1).await;
    }
    // Where the headers had not left either, which wait for the first bytes of a body that states its length, it is an
    // error.
    for path in ["/atOnce", "/length"] {
        assert_eq!(server.get(path).await.code(), "never-settles", "{path}");
    }
    failure(&server, "never-settles", "the response's body never ends").await;
    assert!(!server.log().contains("\"completed\""), "{}", server.log());
}

#[tokio::test]
async fn a_node_response_without_an_end_is_broken_off() {
    let server = Server::of(
        r#"
        import { createServer } from "node:http";
        export default createServer((request, response) => {
          response.write("part");
          request.on("end", () => response.write("more")).resume();
        });
        "#,
        &[],
    );
    let response = begun(&server, "").await;
    assert!(response.starts_with("HTTP/1.1 200") && !is_complete(&response), "{response}");
    failure(&server, "never-settles", "the response's body never ends").await;
}

const FAILING: &str = r#"
const bytes = (text: string) => new TextEncoder().encode(text);
let client: Promise<unknown>;
const cases: Record<string, () => Response | Promise<Response>> = {
  start: () => new Response(new ReadableStream({
    async start(controller) { controller.enqueue(bytes("part")); await client; throw new Error("in start"); },
  })),
  pull() {
    let calls = 0;
    return new Response(new ReadableStream({
      async pull(controller) { await client; if (calls++ > 0) throw new RangeError("in pull");
        controller.enqueue(bytes("part")); },
    }));
  },
  generator: () => new Response(ReadableStream.from((async function* () { yield bytes("part"); await client;
    throw new Error("in a generator"); })())),
  transform: () => new Response(new ReadableStream({
    async start(c) { c.enqueue("part"); await client; c.enqueue("bad"); c.close(); },
  }).pipeThrough(new TransformStream({
    transform(chunk, controller) { if (chunk === "bad") throw new TypeError("in a transform");
      controller.enqueue(bytes(chunk)); },
  }))),
  text: () => new Response(new ReadableStream({ async start(c) { c.enqueue(bytes("part")); await client;
    c.enqueue("text"); } })),
  first: () => new Response(new ReadableStream({ pull() { throw new Error("before the first byte"); } })),
  async cause() { throw new Error("outer", { cause: new Error("why", { cause: "a text" }) }); },
  async several() { await Promise.any([Promise.reject(new Error("this one")), Promise.reject(new Error("that one"))]);
    return new Response(); },
  late: () => new Response(new ReadableStream({
    async start(c) { c.enqueue(bytes("part")); await client;
      throw new Error("late one", { cause: new Error("why late") }); },
  })),
};
export default {
  fetch(request: Request) {
    client = request.arrayBuffer();
    return cases[new URL(request.url).pathname.slice(1)]!();
  },
};
"#;

#[tokio::test]
async fn an_exception_in_a_stream_is_in_the_log_with_its_place_and_its_causes() {
    let project = Project::new(&[("src/index.ts", FAILING)]);
    let server = Server::start(&project.build("src/index.ts"), &[]);
    for (path, texts) in [
        ("start", &["Error: in start", "src/index.ts:6:"][..]),
        ("pull", &["RangeError: in pull", "src/index.ts:11:"]),
        ("generator", &["Error: in a generator", "src/index.ts:16:"]),
        ("transform", &["TypeError: in a transform", "src/index.ts:20:"]),
        ("text", &["TypeError: a chunk of the body is a string"]),
        ("late", &["Error: late one", "[cause]: Error: why late", "src/index.ts:31:"]),
    ] {
        let response = begun(&server, path).await;
        assert!(response.starts_with("HTTP/1.1 200") && body(&response).contains("part"), "{path}: {response}");
        assert!(!is_complete(&response), "{path}: {response}");
        let event = failure(&server, "exception", texts[0]).await.to_string();
        for text in texts {
            assert!(event.contains(text), "{path}: {text} is not in {event}");
        }
    }
    for (path, texts) in [
        ("first", &["Error: before the first byte", "src/index.ts:25:"][..]),
        ("cause", &["Error: outer", "[cause]: Error: why", "[cause]: thrown: a text", "src/index.ts:26:"]),
        (
            "several",
            &["AggregateError", "[errors 0]: Error: this one", "[errors 1]: Error: that one", "src/index.ts:27:"],
        ),
    ] {
        assert_eq!(server.get(&format!("/{path}")).await.code(), "exception", "{path}");
        let event = failure(&server, "exception", texts[0]).await.to_string();
        for text in texts {
            assert!(event.contains(text), "{path}: {text} is not in {event}");
        }
    }
}

#[tokio::test]
async fn what_breaks_off_over_http_2_is_reset() {
    use http_body_util::BodyExt;
    use hyper::body::Frame;
    let server = Server::of(
        &source(
            r#"
            thrown: () => streamed(async (c) => { c.enqueue(bytes("part")); await client; throw new Error("broke"); }),
            never: () => streamed(async (c) => { c.enqueue(bytes("part")); await client; }),
            good: () => streamed(async (c) => { c.enqueue(bytes("part")); await client; c.close(); }),
            "#,
        ),
        &[],
    );
    let client =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).http2_only(true).build_http();
    for (path, is_whole) in [("thrown", false), ("never", false), ("good", true)] {
        let (begun, has_begun) = tokio::sync::oneshot::channel::<()>();
        // The body ends once the headers are there.
        let body = futures::stream::once(async { has_begun.await.map(|()| Frame::data(bytes::Bytes::from("x"))) });
        let request = http::Request::post(format!("http://{}/{path}", server.address));
        let request = request.body(http_body_util::StreamBody::new(Box::pin(body))).expect("well formed");
        let response = client.request(request).await.expect("the headers come");
        begun.send(()).expect("the body waits");
        assert_eq!(response.into_body().collect().await.is_ok(), is_whole, "{path}");
    }
}

#[tokio::test]
async fn the_headers_of_a_stream_do_not_wait_for_its_bytes() {
    let server = Server::of(
        &source(
            r#"events: () => new Response(new ReadableStream({ async start(c) { await sleep(50_000); c.close(); } }),
               { headers: { "content-type": "text/event-stream" } }),"#,
        ),
        &["--deadline-ms", "55000"],
    );
    let mut client = TcpStream::connect(server.address).await.expect("it listens");
    client.write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("it reads");
    let mut first = [0; 15];
    tokio::time::timeout(PATIENCE / 2, client.read_exact(&mut first)).await.expect("before the body").expect("headers");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_long_text_that_the_client_takes_slowly_is_whole() {
    let server = Server::start(
        &component(r#"export default { fetch: () => new Response("0123456789".repeat(500_000)) };"#),
        &["--response-bytes", "10000000"],
    );
    let mut client = TcpStream::connect(server.address).await.expect("it listens");
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.expect("it reads");
    let mut all = vec![0; 1000];
    client.read_exact(&mut all).await.expect("it begins");
    // Whatever is written ahead of a client has been written once another has read all.
    assert_eq!(server.get("/").await.body.len(), 5_000_000);
    client.read_to_end(&mut all).await.expect("it ends");
    let response = String::from_utf8(all).expect("text");
    assert_eq!((header(&response, "content-length"), body(&response).len()), (Some("5000000"), 5_000_000));
}
