//! `fetch` from a component: what it does, and what it may not.

use elias_tests::build::{Project, component};
use elias_tests::platform::until;
use elias_tests::serve::{Server, refused};
use elias_tests::upstream::{TOGETHER, Upstream};

/// A component whose paths are functions of this source, granted what `grant` says beside the upstream.
async fn served(functions: &str, grant: &str) -> (Server, Upstream) {
    let upstream = Upstream::start().await;
    let address = upstream.address();
    let source = format!(
        r#"
        const upstream = "http://{address}";
        const functions = {{ {functions} }};
        export default {{
          async fetch(request) {{
            const result = await functions[new URL(request.url).pathname.slice(1)](request);
            return result instanceof Response ? result : Response.json(result);
          }},
        }};
        "#
    );
    let project = Project::new(&[]);
    project.write("app.wasm", component(&source));
    let grant = format!(
        "[capabilities.http]\nallow = [\"http://{address}\", \"http://localhost\", \"*.test\"]\n\
         private = [\"127.0.0.1/32\"]\n{grant}"
    );
    project.write("elias.toml", grant);
    (Server::of_project(project, "app.wasm", &["--deadline-ms", "5000"]), upstream)
}

#[tokio::test]
async fn answers_bodies_and_headers_pass_both_ways() {
    let (server, _upstream) = served(
        r#"
        async post() {
          const response = await fetch(upstream + "/echo", { method: "POST", body: "a body",
            headers: { "content-type": "text/x" } });
          return [response.status, response.ok, response.url, response.headers.get("content-type"),
            await response.text()];
        },
        async headers() { return (await fetch(upstream + "/headers", { headers: { "x-mine": "yes" } })).json(); },
        stream: (request) => fetch(upstream + "/echo", { method: "POST", body: request.body, duplex: "half" }),
        async redirected() {
          const response = await fetch(upstream + "/to//there");
          return [response.redirected, response.url, await response.text()];
        },
        async manual() { return (await fetch(upstream + "/to//there", { redirect: "manual" })).status; },
        "#,
        "",
    )
    .await;
    let posted = server.get("/post").await.json();
    assert_eq!(
        (&posted[0], &posted[1], &posted[3], &posted[4]),
        (&200.into(), &true.into(), &"text/x".into(), &"a body".into())
    );
    let headers = server.get("/headers").await.json();
    assert_eq!((&headers["x-mine"], &headers["user-agent"]), (&"yes".into(), &"ELIAS".into()));
    let large = "x".repeat(3 << 20);
    let answer = server.send(http::Request::builder().method("POST"), "/stream", large.clone()).await;
    assert!(answer.body == large, "{} bytes came back", answer.body.len());
    let redirected = server.get("/redirected").await.json();
    assert_eq!((&redirected[0], &redirected[2]), (&true.into(), &"/there".into()));
    assert_eq!(server.get("/manual").await.body, "302");
}

#[tokio::test]
async fn ten_fetches_are_in_flight_at_once() {
    let (server, _upstream) = served(
        r#"async all() {
          return Promise.all(Array.from({ length: 10 }, async () => (await fetch(upstream + "/together")).status));
        }"#,
        "",
    )
    .await;
    // Nobody is answered before all have asked.
    assert_eq!(server.get("/all").await.json(), serde_json::Value::from(vec![200; TOGETHER]));
}

#[tokio::test]
async fn an_abort_in_the_midst_of_bodies_ends_both() {
    let (server, _upstream) = served(
        r#"
        async both() {
          const controller = new AbortController();
          let told;
          const body = new ReadableStream({
            start(sink) { sink.enqueue(new TextEncoder().encode("first")); },
            cancel(reason) { told = reason; },
          });
          const response = await fetch(upstream + "/echo", { method: "POST", body, duplex: "half",
            signal: controller.signal });
          const reader = response.body.getReader();
          const first = new TextDecoder().decode((await reader.read()).value);
          const pending = reader.read();
          controller.abort("enough");
          const reason = await pending.catch((error) => error);
          return [first, reason, told];
        },
        "#,
        "",
    )
    .await;
    assert_eq!(server.get("/both").await.body, r#"["first","enough","enough"]"#);
}

#[tokio::test]
async fn an_abort_reaches_the_other_server() {
    let (server, upstream) = served(
        r#"
        async abort() {
          const controller = new AbortController();
          const never = fetch(upstream + "/never", { signal: controller.signal }).catch((error) => error.name);
          while (await (await fetch(upstream + "/never-started")).text() === "0") {
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          controller.abort();
          return never;
        },
        async timeout() { return fetch(upstream + "/never", { signal: AbortSignal.timeout(2000) })
          .catch((error) => error.name); },
        "#,
        "",
    )
    .await;
    assert_eq!(server.get("/abort").await.body, "\"AbortError\"");
    assert_eq!(server.get("/timeout").await.body, "\"TimeoutError\"");
    until("both requests have ended there", async || (upstream.cut() == 2).then_some(())).await;
}

#[tokio::test]
async fn limits_end_a_request_with_their_codes() {
    let code = "const code = async (url, init) => { try { const r = await fetch(upstream + url, init); \
                return (await r.arrayBuffer()).byteLength; } catch (error) { return error.code ?? String(error); } };";
    let functions = r#"
        never: () => code("/never"),
        endless: () => code("/endless"),
        bomb: () => code("/bomb"),
        upload: () => code("/echo", { method: "POST", body: "x".repeat(200_000) }),
        late: async () => {
          const answered = Promise.withResolvers();
          const body = new ReadableStream({
            async start(controller) {
              controller.enqueue(new Uint8Array(1_000));
              await answered.promise;
              controller.enqueue(new Uint8Array(200_000));
            },
          });
          const response = await fetch(upstream + "/echo", { method: "POST", body, duplex: "half" });
          answered.resolve();
          return response.arrayBuffer().catch((error) => error.code);
        },
    "#;
    let grant = "first-byte-timeout-ms = 3000\nresponse-bytes = 1000000\nrequest-bytes = 100000\n";
    let (server, _upstream) = served(
        &format!("}}; {code} const more = {{ {functions} }}; Object.assign(functions, more); const rest = {{"),
        grant,
    )
    .await;
    assert_eq!(server.get("/never").await.body, "\"timeout\"");
    for path in ["/endless", "/bomb"] {
        assert_eq!(server.get(path).await.body, "\"response-too-large\"", "{path}");
    }
    for path in ["/upload", "/late"] {
        assert_eq!(server.get(path).await.body, "\"request-too-large\"", "{path}");
    }
    let resident = server.resident_bytes();
    assert!(resident < 400 << 20, "{resident} bytes are resident");
}

#[tokio::test]
async fn bodies_are_decoded_as_servers_encode_them() {
    let (server, _upstream) = served(
        r#"
        async read(request) {
          const { gzipSync, brotliCompressSync, deflateRawSync } = await import("node:zlib");
          const bodies = {
            members: ["GZIP", Buffer.concat([gzipSync("first "), gzipSync("second")])],
            list: ["gzip, br", brotliCompressSync(gzipSync("first second"))],
            raw: ["deflate", deflateRawSync("first second")],
            short: ["x-gzip", gzipSync("first second").subarray(0, 20)],
            unknown: ["compress", "first second"],
            many: ["gzip, gzip, gzip, gzip, gzip, gzip", "first second"],
          };
          const [name, pass] = new URL(request.url).search.slice(1).split("&");
          const [coding, body] = bodies[name];
          try {
            const headers = { "x-encoding": coding, "accept-encoding": "gzip" };
            const response = await fetch(upstream + "/echo", { method: "POST", body, headers });
            if (pass) return response;
            const about = ["content-encoding", "content-length"].map((name) => response.headers.get(name));
            return [await response.text(), ...about];
          } catch (error) {
            return error.code;
          }
        },
        async accepts(request) {
          const headers = new URL(request.url).search ? { range: "bytes=0-3" } : {};
          return (await (await fetch(upstream + "/headers", { headers })).json())["accept-encoding"];
        },
        "#,
        "",
    )
    .await;
    for name in ["members", "list", "raw"] {
        let read = server.get(&format!("/read?{name}")).await;
        assert_eq!(read.body, r#"["first second",null,null]"#, "{name}");
        let passed = server.get(&format!("/read?{name}&pass")).await;
        assert_eq!(passed.body, "first second", "{name}");
        assert!(!passed.headers.contains_key("content-encoding"), "{name}: {passed:?}");
    }
    let unknown = server.get("/read?unknown").await.json();
    assert_eq!((&unknown[0], &unknown[1]), (&"first second".into(), &"compress".into()));
    for (name, code) in [("short", "connection-lost"), ("many", "network-error")] {
        assert_eq!(server.get(&format!("/read?{name}")).await.body, format!("\"{code}\""), "{name}");
    }
    assert_eq!(server.get("/accepts").await.body, "\"gzip, deflate, br, zstd\"");
    assert_eq!(server.get("/accepts?range").await.body, "\"identity\"");
}

#[tokio::test]
async fn tls_is_checked_and_carries_http_2() {
    let (upstream, authority) = Upstream::start_tls().await;
    let port = upstream.address().port();
    let source = format!(
        "export default {{ fetch: () => fetch('https://localhost:{port}/version').then(undefined, (e) => \
         new Response(e.code)) }};"
    );
    let wasm = component(&source);
    for (line, wanted) in [("ca-file = \"ca.pem\"", "HTTP/2.0"), ("", "tls-error")] {
        let project = Project::new(&[("ca.pem", &authority)]);
        project.write("app.wasm", &wasm);
        let grant = "[capabilities.http]\nallow = [\"https://localhost:*\"]\nprivate = [\"127.0.0.1/32\"]\n";
        project.write("elias.toml", format!("{}{line}\n", grant.replace('*', &port.to_string())));
        let server = Server::of_project(project, "app.wasm", &[]);
        assert_eq!(server.get("/").await.body, wanted, "{}", server.log());
    }
}

#[tokio::test]
async fn many_short_waits_end_at_the_deadline() {
    let (server, _upstream) = served(
        r#"
        async patient() { for (;;) await (await fetch(upstream + "/slow")).text(); },
        async fine() { return "fine"; },
        "#,
        "first-byte-timeout-ms = 300",
    )
    .await;
    assert_eq!(server.get("/patient").await.code(), "deadline");
    assert_eq!(server.get("/fine").await.body, "\"fine\"");
}

#[tokio::test]
async fn no_way_leads_into_the_private_network() {
    let (server, upstream) = served(
        r#"
        async to(request) {
          const url = new URL(request.url).searchParams.get("url");
          return fetch(url).then((response) => response.status, (error) => [error.code, error.message]);
        },
        "#,
        "",
    )
    .await;
    let port = upstream.address().port();
    let denied = [
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://[::1]/".to_owned(),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://0x7f.1/".to_owned(),
        "http://2130706433/".to_owned(),
        "http://0177.0.0.1/".to_owned(),
        "http://example.com/".to_owned(),
        format!("https://127.0.0.1:{port}/"),
        format!("http://{}/to/http://169.254.169.254/", upstream.address()),
        format!("http://{}/to/http://127.0.0.1:1/", upstream.address()),
    ];
    for url in denied {
        let answer = server.get(&format!("/to?url={url}")).await.json();
        assert_eq!(answer[0], "denied", "{url}: {answer}");
        assert!(answer[1].as_str().is_some_and(|message| message.contains("[capabilities.http]")), "{answer}");
    }
    // A name that the rules allow, with an address that they do not: `localhost` may also be ::1, 127.0.0.1 is granted.
    let answer = server.get("/to?url=http://user:secret@localhost/").await.json();
    assert!(!answer.to_string().contains("secret"), "{answer}");
    let answer = server.get(&format!("/to?url=http://{}/", upstream.address())).await;
    assert_eq!(answer.body, "200");
}

#[test]
fn what_was_not_granted_is_refused_at_load_with_the_line_to_add() {
    let project = Project::new(&[]);
    project.write("app.wasm", component("export default { fetch: () => fetch('https://example.com/') };"));
    let output = refused(&project.path("app.wasm"), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error[capability-denied]") && said.contains("[capabilities.http]"), "{said}");
    project.write("elias.toml", "[capabilities.http]\nallow = [\"ftp://example.com\"]\n");
    let config = project.path("elias.toml");
    let output = refused(&project.path("app.wasm"), &["--config", config.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error[bad-configuration]") && said.contains("ftp://example.com"), "{said}");
}
