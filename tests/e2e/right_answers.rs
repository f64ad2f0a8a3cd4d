//! Neighbours of the faults that real trouble reports showed (docs/explanation/faults.md): what goes wrong beside them
//! in comparable runtimes, with the answers of the standards and of Node.

use elias_tests::build::Project;
use elias_tests::serve::Server;
use serde_json::{Value, json};

/// The answer to bytes on a connection of their own.
async fn ask(server: &Server, request: &str) -> String {
    server
        .raw(format!("{request}\r\n").replacen("\r\n", "\r\nhost: h.example\r\nconnection: close\r\n", 1).as_bytes())
        .await
}

/// The JSON of an answer whose length is known.
fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{answer}: {error}"))
}

const SEES: &str = r#"
export default {
  async fetch(request) {
    const { method, url, headers, body } = request;
    return Response.json({
      method, url, serialised: new URL(url).href === url, cookie: headers.get("cookie"), accept: headers.get("accept"),
      body: body === null ? null : await request.text(),
    });
  },
};
"#;

#[tokio::test]
async fn cookies_of_many_fields_are_one_list_and_other_fields_are_not() {
    let server = Server::of(SEES, &[]);
    let request = "GET / HTTP/1.1\r\nCookie: a=1\r\naccept: x\r\nCookie: b=\"2; x\"\r\nAccept: y\r\ncookie: c=\r\n";
    let seen = body(&ask(&server, request).await);
    assert_eq!((&seen["cookie"], &seen["accept"]), (&json!("a=1; b=\"2; x\"; c="), &json!("x, y")), "{seen}");
    assert_eq!(body(&ask(&server, "GET / HTTP/1.1\r\n").await)["cookie"], Value::Null);
    assert_eq!(body(&ask(&server, "GET / HTTP/1.1\r\ncookie: only=one\r\n").await)["cookie"], "only=one");
}

#[tokio::test]
async fn urls_of_requests_are_serialised_however_they_are_written() {
    let server = Server::of(SEES, &[]);
    for (target, url) in [
        ("/a/%2e%2e/b?q=%zz", "http://h.example/b?q=%zz"),
        ("/a/.%2E/./c", "http://h.example/c"),
        ("//two//slashes", "http://h.example//two//slashes"),
        ("/?", "http://h.example/?"),
        ("http://Other.Example:80/d", "http://other.example/d"),
        ("http://other.example:8080", "http://other.example:8080/"),
    ] {
        let seen = body(&ask(&server, &format!("GET {target} HTTP/1.1\r\n")).await);
        assert_eq!((&seen["url"], &seen["serialised"]), (&json!(url), &json!(true)), "{target}");
    }
    for (host, url) in [("H.EXAMPLE:80", "http://h.example/"), ("[::1]:8080", "http://[::1]:8080/")] {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(body(&server.raw(request.as_bytes()).await)["url"], url);
    }
}

#[tokio::test]
async fn requests_have_a_body_if_and_only_if_one_was_sent() {
    let server = Server::of(SEES, &[]);
    for method in ["DELETE", "OPTIONS", "PATCH", "PUT", "POST", "REPORT"] {
        let seen = body(&ask(&server, &format!("{method} / HTTP/1.1\r\n")).await);
        assert_eq!((&seen["method"], &seen["body"]), (&json!(method), &Value::Null));
        let seen = body(&ask(&server, &format!("{method} / HTTP/1.1\r\ncontent-length: 2\r\n\r\nab")).await);
        assert_eq!(seen["body"], "ab", "{method}");
        let chunked = format!("{method} / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n");
        assert_eq!(body(&ask(&server, &chunked).await)["body"], "ab", "{method}");
    }
}

const ANSWERS: &str = r#"
const stale = { headers: { "content-length": "2" } };
const form = new FormData();
form.append("a", "b");
const twice = new Headers({ "content-length": "1" });
twice.append("content-length", "2");
const never = new Promise(() => {});
const letter = new Uint8Array([65]);
const once = (then) => ({
  pull(controller) {
    if (this.given) return then(controller);
    this.given = true;
    controller.enqueue(letter);
  },
});
const fails = (controller) => controller.error(new RangeError("too late", { cause: new Error("the reason") }));
const answers = {
  blob: () => new Response(new Blob(["abcdef"]), stale),
  bytes: () => new Response(new Uint8Array(6).fill(97), stale),
  view: () => new Response(new DataView(new ArrayBuffer(8), 1, 6), stale),
  parameters: () => new Response(new URLSearchParams("a=b&c=d"), stale),
  form: () => new Response(form, stale),
  twice: () => new Response("abc", { headers: twice }),
  copied: () => new Response("longer", new Response("x", stale)),
  json: () => Response.json({ a: 1 }, stale),
  none: () => new Response(null, { status: 204, headers: { "content-length": "5" } }),
  unchanged: () => new Response(null, { status: 304, headers: { "content-length": "5" } }),
  iterator: () => new Response((async function* () { yield letter; await never; })()),
  pipe: () => {
    const through = new TransformStream();
    through.writable.getWriter().write(letter);
    return new Response(through.readable);
  },
  tee: () => new Response(new ReadableStream(once(() => never)).tee()[0]),
  late: () => new Response(new ReadableStream(once(fails))),
  shorter: () => new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array(1)); c.close(); } }), stale),
  longer: () => new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array(9)); c.close(); } }), stale),
};
export default { fetch: (request) => answers[new URL(request.url).pathname.slice(1)]() };
"#;

#[tokio::test]
async fn whatever_is_whole_has_its_own_length() {
    let server = Server::of(ANSWERS, &[]);
    for (path, length) in
        [("blob", 6), ("bytes", 6), ("view", 6), ("parameters", 7), ("twice", 3), ("copied", 6), ("json", 7)]
    {
        let answer = ask(&server, &format!("GET /{path} HTTP/1.1\r\n")).await;
        let (headers, content) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(headers.contains(&format!("content-length: {length}\r\n")), "{path}: {headers}");
        assert_eq!(content.len(), length, "{path}: {answer}");
        // The headers of HEAD are those of GET.
        let answer = ask(&server, &format!("HEAD /{path} HTTP/1.1\r\n")).await;
        assert!(answer.contains(&format!("content-length: {length}\r\n")) && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    let form = ask(&server, "GET /form HTTP/1.1\r\n").await;
    let (headers, content) = form.split_once("\r\n\r\n").expect("an answer");
    assert!(headers.contains(&format!("content-length: {}\r\n", content.len())), "{form}");
    // 204 has no length whatever the method; that of 304 would be of another response's body.
    for request in ["GET /none", "HEAD /none", "GET /unchanged"] {
        let answer = ask(&server, &format!("{request} HTTP/1.1\r\n")).await;
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("content-length"), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_given_whole_is_never_taken_for_one_that_is() {
    let server = Server::of(ANSWERS, &[]);
    for path in ["iterator", "pipe", "tee", "late", "shorter", "longer"] {
        let answer = ask(&server, &format!("GET /{path} HTTP/1.1\r\n")).await;
        // Either nothing of it was on its way, or it breaks off: without its last chunk, or short of its length.
        let failed = answer.starts_with("HTTP/1.1 500 ");
        let broken = answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("0\r\n\r\n");
        assert!(failed || broken, "{path}: {answer}");
    }
    let log = server.logged("the reason").await;
    assert!(log.contains("too late") && log.contains("never-settles"), "{log}");
}

const FORMS: &str = r#"
export default {
  async fetch(request) {
    const entries = [...await request.formData()];
    return Response.json(entries.map(([name, value]) => [name, value.name ?? value]));
  },
};
"#;

#[tokio::test]
async fn names_of_parts_are_read_as_clients_write_them() {
    let server = Server::of(FORMS, &[]);
    for (disposition, name, value) in [
        (r#"form-data; name="a"; filename*=UTF-8''na%C3%AFve%20x.txt"#, "a", "naïve x.txt"),
        (r#"form-data; name="a"; filename="plain.txt"; filename*=utf-8'en'%E2%82%AC.txt"#, "a", "€.txt"),
        (r#"form-data; name="a"; filename*=ISO-8859-1''%E9.txt"#, "a", "é.txt"),
        (r#"form-data ; name="a" ; filename="b.txt""#, "a", "b.txt"),
        (r#"form-data; filename="b.txt"; name= "a""#, "a", "b.txt"),
        (r#"FORM-DATA;NAME=a;FILENAME=b.txt"#, "a", "b.txt"),
        (r#"form-data; name="a"; filename="q%22uote.txt""#, "a", "q\"uote.txt"),
        (r#"form-data; name="a"; filename="q\"uote.txt""#, "a", "q\"uote.txt"),
        (r#"form-data; name="a\"b\""; filename="c.txt""#, "a\"b\"", "c.txt"),
        (r#"form-data; name="a"; filename="C:\folder\""#, "a", "C:\\folder\\"),
        (r#"form-data; filename="C:\folder\"; name="a""#, "a", "C:\\folder\\"),
    ] {
        let form = format!("--B\r\ncontent-disposition: {disposition}\r\n\r\nx\r\n--B--\r\n");
        let length = form.len();
        let headers = "content-type: multipart/form-data; boundary=B";
        let answer =
            ask(&server, &format!("POST / HTTP/1.1\r\n{headers}\r\ncontent-length: {length}\r\n\r\n{form}")).await;
        assert_eq!(body(&answer), json!([[name, value]]), "{disposition}");
    }
}

const VALUES: &str = r#"
import { cache } from "elias/cache";
import { db } from "elias/db";
const tried = async (run) => { try { return String(await run()); } catch (error) { return error.name; } };
const values = {
  max: 2n ** 63n - 1n, min: -(2n ** 63n), over: 2n ** 63n, under: -(2n ** 63n) - 1n, far: 2n ** 100n,
  bad: new Date(NaN),
  latest: new Date(8.64e15), symbol: Symbol("x"), method: () => 1, nested: { a: 1n }, fraction: 1.5, unsafe: 2 ** 53,
};
const steps = {
  nan: NaN, infinity: Infinity, fraction: 1.5, over: 2n ** 63n, min: -(2n ** 63n), text: "1", nothing: null,
};
export default {
  async fetch() {
    const stored = {}, counted = {};
    for (const [name, value] of Object.entries(values)) {
      stored[name] = await tried(async () => (await db.query("select $1 as a", value))[0].a);
    }
    for (const [name, step] of Object.entries(steps)) {
      await cache.delete("n");
      counted[name] = await tried(() => cache.increment("n", step));
    }
    return Response.json({ stored, counted });
  },
};
"#;

#[tokio::test]
async fn values_are_stored_as_they_are_or_refused() {
    let project = Project::new(&[("src/index.js", VALUES)]);
    project.write("app.wasm", project.build("src/index.js"));
    project.write("elias.toml", "[capabilities.db]\n\n[capabilities.cache]\n");
    let server = Server::of_project(project, "app.wasm", &[]);
    let expected = json!({
        "stored": {
            "max": "9223372036854775807", "min": "-9223372036854775808", "over": "RangeError", "under": "RangeError",
            "far": "RangeError", "bad": "RangeError", "latest": "Error", "symbol": "TypeError", "method": "TypeError",
            "nested": "TypeError", "fraction": "1.5", "unsafe": "9007199254740992",
        },
        "counted": {
            "nan": "RangeError", "infinity": "RangeError", "fraction": "RangeError", "over": "RangeError",
            "min": "-9223372036854775808", "text": "RangeError", "nothing": "RangeError",
        },
    });
    assert_eq!(server.get("/").await.json(), expected);
}
