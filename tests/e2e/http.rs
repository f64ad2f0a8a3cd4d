//! HTTP as clients see it: bodies both ways, hang-ups, header rules.

use elias_tests::serve::{PATIENCE, Server};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn works_when_requests_and_responses_have_every_kind_of_body() {
    let server = Server::of(
        r#"
        export default {
          async fetch(request) {
            switch (new URL(request.url).pathname) {
              case "/text": return new Response((await request.text()).toUpperCase());
              case "/json": return Response.json({ got: await request.json() });
              case "/bytes": return new Response(new Uint8Array(await request.arrayBuffer()).reverse());
              case "/stream": return new Response(request.body);
              case "/empty": return new Response(null, { status: 204 });
              case "/headers": return new Response(null,
                { headers: { a: "1", "x-got": request.headers.get("x-sent") } });
              case "/cookies": {
                const headers = new Headers();
                headers.append("set-cookie", "a=1");
                headers.append("set-cookie", "b=2");
                return new Response("", { headers });
              }
            }
          },
        };
        "#,
        &[],
    );
    assert_eq!(server.send(Request::post("/"), "/text", "größe").await.body, "GRÖSSE");
    assert_eq!(server.send(Request::post("/"), "/json", r#"{"a":1}"#).await.body, r#"{"got":{"a":1}}"#);
    assert_eq!(server.send(Request::put("/"), "/bytes", "abc").await.body, "cba");
    let large = "0123456789".repeat(300_000);
    assert_eq!(server.send(Request::post("/"), "/stream", large.clone()).await.body.len(), large.len());
    let empty = server.get("/empty").await;
    assert_eq!((empty.status, empty.body.as_str()), (204, ""));
    let headers = server.send(Request::get("/").header("x-sent", "hello"), "/headers", "").await.headers;
    assert_eq!(
        (&headers["a"], &headers["x-got"]),
        (&"1".parse().expect("a value"), &"hello".parse().expect("a value"))
    );
    let cookies = server.get("/cookies").await.headers;
    assert_eq!(cookies.get_all("set-cookie").iter().count(), 2);
}

#[tokio::test]
async fn bodies_over_their_limits_end() {
    let server = Server::of(
        r#"
        export default {
          async fetch(request) {
            if (request.method === "POST") return new Response(String((await request.arrayBuffer()).byteLength));
            const chunk = new Uint8Array(65536);
            return new Response(new ReadableStream({ pull(controller) { controller.enqueue(chunk); } }));
          },
        };
        "#,
        &["--request-bytes", "100000", "--response-bytes", "1000000", "--body-timeout-ms", "300"],
    );
    assert_eq!(server.send(Request::post("/"), "/", vec![b'x'; 100_000]).await.body, "100000");
    let told = server.try_send(Request::post("/"), "/", vec![b'x'; 100_001]).await.expect("an answer");
    assert_eq!(told.code(), "request-too-large");
    let chunked =
        [&b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n20000\r\n"[..], &[b'x'; 0x20000]].concat();
    let untold = server.raw(&[&chunked[..], b"\r\n0\r\n\r\n"].concat()).await;
    assert!(untold.starts_with("HTTP/1.1 413") && untold.contains("request-too-large"), "{untold}");
    let slow = server.raw(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n123").await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    let endless = server.try_send(Request::get("/"), "/", "").await;
    assert!(endless.is_err(), "an endless body ended well: {}", endless.map_or(0, |answer| answer.body.len()));
    server.logged("response-too-large").await;
    assert_eq!(server.send(Request::post("/"), "/", "x").await.body, "1");
}

#[tokio::test]
async fn what_no_client_should_send_is_refused() {
    let server = Server::of(
        r#"
        export default {
          fetch(request) {
            switch (new URL(request.url).pathname) {
              case "/crlf": return new Response("", { headers: { "x-split": "a\r\nset-cookie: evil=1" } });
              case "/hop": return new Response("ok",
                { headers: { connection: "x-secret", "transfer-encoding": "chunked" } });
              default: return new Response("fine");
            }
          },
        };
        "#,
        &["--head-timeout-ms", "300"],
    );
    let close = "host: a\r\nconnection: close\r\n\r\n";
    for (what, request, status) in [
        (
            "two lengths",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd".to_owned(),
            "400",
        ),
        ("a space in a name", format!("GET / HTTP/1.1\r\nx y: 1\r\n{close}"), "400"),
        ("a long target", format!("GET /{} HTTP/1.1\r\n{close}", "x".repeat(10_000)), "414"),
        ("many headers", format!("GET / HTTP/1.1\r\n{}{close}", "a: b\r\n".repeat(200)), "431"),
        ("long headers", format!("GET / HTTP/1.1\r\na: {}\r\n{close}", "x".repeat(50_000)), "431"),
    ] {
        let answer = server.raw(request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{what}: {}",
            answer.lines().next().unwrap_or_default()
        );
    }
    let smuggled = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
                     GET /x HTTP/1.1\r\n\r\n";
    let answers = server.raw(smuggled).await;
    assert!(answers.matches("HTTP/1.1 200").count() <= 1, "a smuggled request was answered: {answers}");
    let slow = server.raw(b"GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
    assert!(slow.is_empty() || slow.starts_with("HTTP/1.1 408"), "{slow}");
    let split = server.get("/crlf").await;
    assert_eq!(split.code(), "exception");
    assert_eq!(split.headers.get("set-cookie"), None);
    let hop = server.get("/hop").await;
    assert_eq!(hop.body, "ok");
    assert!(hop.headers.get("connection").is_none_or(|value| value != "x-secret"));
    assert_eq!(server.get("/").await.body, "fine");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_guest() {
    let server = Server::of(
        r#"
        export default {
          async fetch(request) {
            if (new URL(request.url).pathname !== "/wait") return new Response("fine");
            console.log("waiting");
            await new Promise((resolve) => setTimeout(resolve, 50_000));
            return new Response("too late");
          },
        };
        "#,
        &["--concurrent-executions", "1", "--queued-requests", "0", "--deadline-ms", "55000"],
    );
    let mut client = TcpStream::connect(server.address).await.expect("it listens");
    client.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("it reads");
    server.logged("waiting").await;
    assert_eq!(server.get("/").await.status, 503, "the only place is taken");
    drop(client);
    // The place is free again long before the deadline: the guest was ended.
    let log = server.logged("cancelled").await;
    assert!(!log.contains("deadline"), "{log}");
    assert_eq!(server.get("/").await.body, "fine");
}

#[tokio::test]
async fn works_when_a_body_is_streamed_with_backpressure() {
    const FLAGS: [&str; 8] = [
        "--response-bytes",
        "200000000",
        "--fuel",
        "10000000000",
        "--deadline-ms",
        "600000",
        "--write-timeout-ms",
        "600000",
    ];
    let server = Server::of(
        r#"
        export default {
          fetch() {
            let sent = 0;
            const chunk = new Uint8Array(65536);
            return new Response(new ReadableStream({
              pull(controller) {
                sent += 1;
                if (sent % 16 === 0) console.log("sent", sent);
                controller.enqueue(chunk);
                if (sent === 1600) controller.close();
              },
            }));
          },
        };
        "#,
        &FLAGS,
    );
    let begin = async || {
        let mut client = TcpStream::connect(server.address).await.expect("it listens");
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.expect("it reads");
        client.read_exact(&mut [0; 100]).await.expect("it answers");
        client
    };
    let finish = async |mut client: TcpStream| {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, client.read_to_end(&mut rest)).await.expect("it ends").expect("it is whole");
        assert!(rest.len() > 1600 * 65536, "{}", rest.len());
    };
    let slow = begin().await;
    // A second response, begun after the first and read to its end, is the time that the first would have had to be
    // taken from its guest.
    finish(begin().await).await;
    let log = server.logged("sent 1600").await;
    let whole = log.matches("sent 1600").count();
    assert_eq!(whole, 1, "100 MB were taken from the guest for a client that reads nothing");
    finish(slow).await;
    server.logged_times("sent 1600", 2).await;
}

#[tokio::test]
async fn works_over_http_2() {
    let server = Server::of("export default { fetch: (request) => new Response(request.method) };", &[]);
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http::<http_body_util::Empty<bytes::Bytes>>();
    let uri: http::Uri = format!("http://{}/", server.address).parse().expect("a URI");
    let answers = (0..20).map(|_| client.get(uri.clone()));
    for answer in futures::future::join_all(answers).await {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    }
}
