//! Requests as handlers see them, and as they pass them on: host, URL, bodies, and APIs that no word of the source
//! names.

use elias_tests::build::{Project, component};
use elias_tests::platform::Platform;
use elias_tests::serve::{Answer, Server};
use elias_tests::upstream::Upstream;
use http::Request;
use serde_json::json;

/// A component with this handler, which may fetch from an upstream that it has as `UP`.
async fn proxy(handler: &str) -> (Server, Upstream) {
    let upstream = Upstream::start().await;
    let address = upstream.address();
    let project = Project::new(&[]);
    project.write("app.wasm", component(&format!("const UP = \"http://{address}\";\n{handler}")));
    let grant = format!("[capabilities.http]\nallow = [\"http://{address}\"]\nprivate = [\"127.0.0.1/32\"]\n");
    project.write("elias.toml", grant);
    (Server::of_project(project, "app.wasm", &[]), upstream)
}

async fn post(server: &Server, path: &str, body: &str) -> Answer {
    server.send(Request::post("/").header("content-type", "text/x").header("x-in", "1"), path, body.to_owned()).await
}

#[tokio::test]
async fn a_request_is_passed_on_whichever_way_it_is_written() {
    for handler in [
        "export default { fetch: (q) => fetch(new Request(UP + \"/echo\", q)) };",
        "export default { fetch: (q) => fetch(UP + \"/echo\", q) };",
        "export default { fetch: (q) => fetch(new Request(UP + \"/echo\", q.clone())) };",
        "export default { fetch: (q) => fetch(new Request(new Request(UP + \"/echo\", q))) };",
    ] {
        let (server, _upstream) = proxy(handler).await;
        let answer = post(&server, "/", "a body").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "a body"), "{handler}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "text/x", "{handler}");
        let long = "0123456789".repeat(200_000);
        assert_eq!(post(&server, "/", &long).await.body.len(), long.len(), "{handler}");
    }
}

#[tokio::test]
async fn headers_of_the_connection_are_left_out_of_what_is_passed_on() {
    let (server, upstream) = proxy(
        r#"
        const connection = { host: "other.example", connection: "close", "keep-alive": "timeout=5", upgrade: "x",
          "transfer-encoding": "chunked", "proxy-authorization": "secret", "proxy-connection": "close",
          "x-kept": "yes" };
        export default {
          async fetch(request) {
            switch (new URL(request.url).pathname) {
              case "/given": return fetch(UP + "/headers", { headers: connection });
              case "/copied": return fetch(UP + "/headers", { headers: request.headers });
              case "/none": return fetch(UP + "/headers", { method: "POST" });
              case "/nothing": return fetch(UP + "/headers", { method: "DELETE" });
              case "/answer": return new Response("x",
                { headers: { ...connection, ...Object.fromEntries(request.headers) } });
            }
          },
        };
        "#,
    )
    .await;
    let given = server.get("/given").await.json();
    assert_eq!((&given["host"], &given["x-kept"]), (&json!(upstream.address().to_string()), &json!("yes")), "{given}");
    for name in ["keep-alive", "upgrade", "transfer-encoding", "proxy-authorization", "proxy-connection"] {
        assert!(given.get(name).is_none(), "{given}");
    }
    let copied = server.send(Request::get("/").header("x-mine", "1"), "/copied", "").await.json();
    assert_eq!((&copied["host"], &copied["x-mine"]), (&json!(upstream.address().to_string()), &json!("1")), "{copied}");
    assert_eq!(server.get("/none").await.json()["content-length"], "0");
    let nothing = server.get("/nothing").await.json();
    assert!(nothing.get("content-length").is_none() && nothing.get("transfer-encoding").is_none(), "{nothing}");
    let answer = server.get("/answer").await;
    assert_eq!(
        (answer.status, answer.body.as_str(), &answer.headers["x-kept"]),
        (200, "x", &"yes".parse().expect("a value"))
    );
}

#[tokio::test]
async fn a_request_has_its_host_and_a_url_that_is_serialised() {
    let server = Server::of(
        r#"
        export default {
          fetch: (q) => Response.json([q.url, q.headers.get("host"), new URL(q.url).href === q.url,
            [...q.headers.keys()].includes("host")]),
        };
        "#,
        &[],
    );
    // The host is given as URLs write it, whatever the client wrote.
    for (target, sent, host, url) in [
        ("/a", "shop.example", "shop.example", "http://shop.example/a"),
        ("/A/../b", "Shop.Example", "shop.example", "http://shop.example/b"),
        ("/a/%2e%2E/b?q='x'", "shop.example:80", "shop.example", "http://shop.example/b?q=%27x%27"),
        ("//evil.example/x", "shop.example:8080", "shop.example:8080", "http://shop.example:8080//evil.example/x"),
        ("/?q=http://x/../y", "[::1]:99", "[::1]:99", "http://[::1]:99/?q=http://x/../y"),
        ("/caf%C3%A9", "127.1", "127.0.0.1", "http://127.0.0.1/caf%C3%A9"),
    ] {
        let answer =
            server.raw(format!("GET {target} HTTP/1.1\r\nhost: {sent}\r\nconnection: close\r\n\r\n").as_bytes()).await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let seen: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(seen, json!([url, host, true, true]), "{target}");
    }
    // Whatever a host is, it is no failure of the component's.
    for host in ["x:99999", "x:abc", "a..b", "user@h", "h/path"] {
        let answer =
            server.raw(format!("GET /x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 5"), "{host}: {answer}");
    }
}

#[tokio::test]
async fn a_request_has_a_body_only_if_one_was_sent() {
    let server = Server::of(
        "export default { fetch: async (q) => Response.json([q.method, q.body === null, await q.text()]) };",
        &[],
    );
    for (request, seen) in [
        ("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", json!(["POST", true, ""])),
        ("DELETE / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", json!(["DELETE", true, ""])),
        ("OPTIONS / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", json!(["OPTIONS", true, ""])),
        ("PUT / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi", json!(["PUT", false, "hi"])),
        (
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n\
             !\r\n0\r\n\r\n",
            json!(["POST", false, "hi!"]),
        ),
    ] {
        let answer = server.raw(request.as_bytes()).await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).expect("JSON"), seen, "{request}");
    }
}

#[tokio::test]
async fn what_no_word_of_the_source_names_is_there_all_the_same() {
    let server = Server::of(
        r#"
        const g = globalThis;
        const named = (...parts) => g[parts.join("")];
        export default {
          async fetch(request) {
            const out = {};
            for (const key in request) out[key] = typeof request[key];
            const Controller = named("Abort", "Controller");
            const controller = new Controller();
            controller.abort();
            const Reader = named("File", "Reader");
            const Decoder = named("Text", "Decoder");
            const format = new (named("In", "tl")["Number" + "Format"])("en").format(1234.5);
            const Form = named("Form", "Data");
            const form = new Form();
            form.append("a", "b");
            const { readable, writable } = new (named("Transform", "Stream"))();
            const text = new Response(readable).text();
            const writer = writable["get" + "Writer"]();
            await writer.write(new Uint8Array([104, 105]));
            await writer.close();
            return Response.json([
              out["sig" + "nal"], out["bo" + "dy"], controller["sig" + "nal"].aborted, typeof Reader, format,
              await text,
              new Decoder(["gb", "k"].join("")).decode(new Uint8Array([0xc4, 0xe3])), form.get("a"),
              ["ä", "z", "a"].sort((a, b) => a["locale" + "Compare"](b)).join(""),
              typeof named("con", "sole"), typeof named("atob"), typeof named("structured", "Clone"),
              typeof named("URL", "Pattern"),
            ]);
          },
        };
        "#,
        &[],
    );
    let answer = server.get("/").await;
    let expected = json!([
        "object", "object", true, "function", "1,234.5", "hi", "你", "b", "aäz", "object", "function", "function",
        "function"
    ]);
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn what_needs_an_import_that_is_not_there_says_which_and_its_grant() {
    let server = Server::of(
        r#"
        const named = (...parts) => globalThis[parts.join("")];
        const cases = {
          http: () => named("fet", "ch")("http://a/"),
          timer: () => named("set", "Timeout")(() => {}, 1),
          entropy: () => named("cryp", "to")["get" + "RandomValues"](new Uint8Array(1)),
        };
        export default {
          async fetch(request) {
            try {
              return new Response(String(await cases[request.url.split("/").at(-1)]()));
            } catch (error) {
              return new Response(error.message);
            }
          },
        };
        "#,
        &[],
    );
    for (path, texts) in [
        ("http", &["wasi:http/outgoing-handler", "void fetch;", "[capabilities.http]"][..]),
        ("timer", &["wasi:clocks/monotonic-clock", "void setTimeout;"]),
        ("entropy", &["wasi:random/random"]),
    ] {
        let said = server.get(&format!("/{path}")).await.body;
        for text in texts {
            assert!(said.contains(text), "{path}: {text} is not in {said}");
        }
    }
}

#[tokio::test]
async fn file_names_of_uploads_may_be_extended_parameters() {
    let server = Server::of(
        r#"
        export default {
          async fetch(request) {
            const form = await request.formData();
            return Response.json([...form].map(([name, value]) => 
              [name, typeof value === "string" ? value : value.name]));
          },
        };
        "#,
        &[],
    );
    for (disposition, name) in [
        ("form-data; name=f; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "naïve €.txt"),
        ("form-data; name=\"f\"; filename=\"plain.txt\"; filename*=utf-8'en'b%c3%a9.txt", "bé.txt"),
        ("form-data; name=\"f\"; filename*=ISO-8859-1''b%E9.txt; filename=\"plain.txt\"", "bé.txt"),
        ("form-data; name=\"f\"; filename=\"plain.txt\"; filename*=UTF-8''%ff", "plain.txt"),
        ("form-data; name = \"f\"; filename = \"spaced.txt\"", "spaced.txt"),
    ] {
        let body = format!("--b\r\ncontent-disposition: {disposition}\r\n\r\nx\r\n--b--\r\n");
        let request = Request::post("/").header("content-type", "multipart/form-data; boundary=b");
        assert_eq!(server.send(request, "/", body).await.json(), json!([["f", name]]), "{disposition}");
    }
}

#[tokio::test]
async fn a_handler_knows_its_clients_address_as_far_as_it_is_trusted() {
    const SOURCE: &str = "export default { fetch: (request, env, ctx) => new Response(ctx.clientAddress) };";
    const OF_NODE: &str = r#"
        import { createServer } from "node:http";
        export default createServer((request, response) => response.end(request.socket.remoteAddress)).listen(3000);
    "#;
    let forwarded = |list: &str| Request::get("/").header("x-forwarded-for", list);
    let server = Server::of(SOURCE, &[]);
    assert_eq!(server.get("/").await.body, "127.0.0.1");
    assert_eq!(server.send(forwarded("192.0.2.7"), "/", "").await.body, "127.0.0.1", "no proxy is trusted");
    let server = Server::of(OF_NODE, &["--forwarded-hops", "1"]);
    assert_eq!(server.send(forwarded("192.0.2.7"), "/", "").await.body, "192.0.2.7", "as Node tells it");
    let server = Server::of(SOURCE, &["--forwarded-hops", "1"]);
    for (list, address) in [
        ("192.0.2.7", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("nobody", "127.0.0.1"),
    ] {
        assert_eq!(server.send(forwarded(list), "/", "").await.body, address, "{list}");
    }
    // A platform's gateway stands between, and tells the same.
    let platform = Platform::start(&["--forwarded-hops", "1"]);
    let team = platform.default_tenant();
    team.serve("shop", &component(SOURCE), json!({ "smoke": { "path": "" } })).await;
    let answer = platform.ask_with(forwarded("192.0.2.7"), &team.host("shop"), "/", "").await;
    assert_eq!(answer.body, "192.0.2.7");
}

#[tokio::test]
async fn a_native_that_was_refused_leaves_no_exception_for_the_next() {
    let server = Server::of(
        r#"
        export default {
          async fetch() {
            const seen = [];
            addEventListener("error", (event) => { seen.push(event.message); event.preventDefault(); });
            await null;
            const gone = () => { const view = new Uint8Array(4);
              structuredClone(view.buffer, { transfer: [view.buffer] }); return view; };
            const into = new TextEncoder().encodeInto("x", gone());
            const body = await new Response(new Uint8Array(0)).text();
            crypto.getRandomValues(gone());
            let text = "";
            try { text = new TextDecoder().decode(gone()); } catch (error) { text = error.name; }
            try { await new Response(gone()).text(); } catch {}
            for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
            return Response.json([into, body, seen]);
          },
        };
        "#,
        &[],
    );
    assert_eq!(server.get("/").await.json(), json!([{ "read": 0, "written": 0 }, "", []]));
}

#[tokio::test]
async fn a_program_that_damages_the_built_ins_still_answers() {
    for damage in [
        "delete Array.prototype[Symbol.iterator]",
        "Object.defineProperty(Array.prototype, \"0\", { set() {}, configurable: true })",
        "Object.defineProperty(Array.prototype, \"1\", { set() {}, configurable: true })",
        "RegExp.prototype.exec = () => ({ 0: \"\" })",
        "RegExp.prototype.exec = () => null",
        "Array.prototype.push = () => { throw new Error(\"asked\") }",
        "String.prototype.charCodeAt = () => 0",
        "Function.prototype.call = Function.prototype.apply = undefined",
    ] {
        let source = format!(
            "export default {{ fetch() {{ {damage}; return new Response(\"ok\", {{ headers: {{ a: \"b\", \"X-C\": \" \
             d \" }} }}); }} }};"
        );
        let answer = Server::of(&source, &[]).get("/").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "{damage}: {answer:?}");
        assert_eq!(
            (&answer.headers["a"], &answer.headers["x-c"]),
            (&"b".parse().expect("a value"), &"d".parse().expect("a value"))
        );
    }
}
