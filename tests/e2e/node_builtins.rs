//! The modules of Node.js, in components.

use elias_tests::build::Project;
use elias_tests::serve::Server;

#[tokio::test]
async fn the_async_context_follows_promises_timers_and_foreign_thenables() {
    let server = Server::of(
        r#"
        import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
        import { EventEmitter } from "node:events";
        const storage = new AsyncLocalStorage();
        const here = () => storage.getStore() ?? "none";
        const tick = (ms = 1) => new Promise((resolve) => setTimeout(resolve, ms));
        const thenable = { then(resolve) { resolve(here()); } };
        async function* steps() { yield here(); await tick(); yield here(); }
        async function flow(name) {
          const seen = { start: here() };
          await null;
          seen.awaited = here();
          await tick(name.length);
          seen.timer = here();
          try { await Promise.reject(new Error("x")); } catch { seen.caught = here(); }
          finally { await 1; seen.finally = here(); }
          seen.then = await tick().then(here);
          seen.rejected = await Promise.reject(1).catch(here);
          seen.all = await Promise.all([1, 2].map(async () => (await tick(), here())));
          seen.thenable = await thenable;
          seen.microtask = await new Promise((resolve) => queueMicrotask(() => resolve(here())));
          seen.generator = [];
          for await (const step of steps()) seen.generator.push(step, here());
          seen.exit = await storage.exit(async () => (await tick(), here()));
          seen.inner = await storage.run("inner", async () => (await tick(), here()));
          seen.after = here();
          const stream = new ReadableStream({ async pull(controller) {
            await tick(); controller.enqueue(new TextEncoder().encode(here())); controller.close(); } });
          seen.stream = await new Response(stream).text();
          seen.streamAfter = here();
          return seen;
        }
        export default {
          async fetch() {
            const outside = storage.run("outside",
              () => new Promise((resolve) => (globalThis.release = resolve)).then(here));
            const emitter = new EventEmitter();
            const heard = new Promise((resolve) => emitter.on("x", () => resolve(here())));
            const both = await Promise.all([storage.run("a", flow, "a"), storage.run("bbb", flow, "bbb")]);
            globalThis.release();
            storage.run("emitter", () => emitter.emit("x"));
            const resource = storage.run("resource", () => new AsyncResource("R"));
            return Response.json({ both, outside: await outside, heard: await heard,
              resource: resource.runInAsyncScope(here), end: here() });
          },
        };
        "#,
        &["--dev"],
    );
    let answer = server.get("/").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let json = answer.json();
    for (at, name) in ["a", "bbb"].into_iter().enumerate() {
        let seen = &json["both"][at];
        for key in [
            "start",
            "awaited",
            "timer",
            "caught",
            "finally",
            "then",
            "rejected",
            "thenable",
            "microtask",
            "after",
            "stream",
            "streamAfter",
        ] {
            assert_eq!(seen[key], name, "{key} of {seen}");
        }
        assert_eq!(seen["all"], serde_json::json!([name, name]));
        assert_eq!(seen["generator"], serde_json::json!([name, name, name, name]));
        assert_eq!((&seen["exit"], &seen["inner"]), (&"none".into(), &"inner".into()));
    }
    for (key, wanted) in [("outside", "outside"), ("heard", "emitter"), ("resource", "resource"), ("end", "none")] {
        assert_eq!(json[key], wanted, "{key}");
    }
}

#[tokio::test]
async fn a_server_of_node_http_is_a_component() {
    let server = Server::of(
        r#"
        import { createServer } from "node:http";
        export default createServer(async (request, response) => {
          if (request.url === "/stream") {
            response.writeHead(200, "fine", { "content-type": "text/plain", "set-cookie": ["a=1", "b=2"] });
            for (const part of ["one ", "two ", "three"]) {
              response.write(part);
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
            return response.end();
          }
          if (request.url === "/early") {
            response.statusCode = 204;
            response.end();
            try { response.setHeader("x", "y"); } catch (error) { console.log(error.code); }
            return;
          }
          let body = "";
          for await (const chunk of request) body += chunk;
          response.setHeader("X-Got", String(body.length));
          response.end(JSON.stringify({ method: request.method, url: request.url, type: request.headers["content-type"],
            body: body.slice(0, 10) }));
        }).listen(3000);
        "#,
        &["--dev", "--request-bytes", "2000000"],
    );
    let long = "0123456789".repeat(100_000);
    let answer = server.send(http::Request::post("/").header("content-type", "text/plain"), "/a?b=c", long).await;
    assert_eq!(answer.headers["x-got"], "1000000");
    assert_eq!(
        answer.json(),
        serde_json::json!({ "method": "POST", "url": "/a?b=c", "type": "text/plain", "body": "0123456789" })
    );
    let streamed = server.get("/stream").await;
    assert_eq!((streamed.status, streamed.body.as_str()), (200, "one two three"));
    assert_eq!(streamed.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(server.get("/early").await.status, 204);
    server.logged("ERR_HTTP_HEADERS_SENT").await;
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let package = r#"
        const fs = require("fs");
        const { Socket } = require("net");
        const util = require("node:util");
        class Connection extends require("tls").TLSSocket {}
        exports.inspect = util.inspect;
        exports.missing = util.thereIsNoSuchThing === undefined;
        exports.read = () => fs.promises.readFile("/etc/passwd");
        exports.connect = () => new Socket();
    "#;
    let project = Project::new(&[
        ("node_modules/lib/index.js", package),
        (
            "index.js",
            r#"
            import lib from "lib";
            const why = (run) => {
              try { run(); return "it works"; } catch (error) { return `${error.code}: ${error.message}`; } };
            export default { call: () => [lib.inspect({ a: 1 }), lib.missing, why(lib.read), why(lib.connect)],
              fetch() { return Response.json(this.call()); } };
            "#,
        ),
    ]);
    project.write("app.wasm", project.build("index.js"));
    let file = project.path("app.wasm");
    let server = Server::start_file(&file, &[], project.into_folder());
    let body = server.get("/").await.body;
    assert!(body.contains("{ a: 1 }") && body.contains("true"), "{body}");
    assert!(body.contains("ERR_FEATURE_UNAVAILABLE_ON_PLATFORM: fs.promises.readFile is not available"), "{body}");
    assert!(body.contains("There is no file system") && body.contains("Use the global `fetch`"), "{body}");

    let own =
        Project::new(&[("index.js", "import { nothing } from 'node:util'; export default { call: () => nothing };")]);
    let said = own.elias_build(&["index.js", "-o", "app.wasm"]).stderr;
    assert!(String::from_utf8_lossy(&said).contains("nothing"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn a_module_of_node_is_found_by_its_name() {
    let server = Server::of(
        r#"
        import { createRequire } from "node:module";
        const Storage = globalThis.process?.getBuiltinModule?.("async_hooks")?.AsyncLocalStorage;
        const storage = new Storage();
        const require = createRequire("file:///app/index.js");
        export default {
          fetch: () => storage.run("kept", async () => {
            await null;
            const { join } = process.getBuiltinModule("node:path");
            return Response.json([storage.getStore(), join("a", "b"),
              require("node:path") === process.getBuiltinModule("path"),
              process.getBuiltinModule("node:nothing") ?? null, process.getBuiltinModule("internal/errors") ?? null]);
          }),
        };
        "#,
        &["--dev"],
    );
    assert_eq!(server.get("/").await.json(), serde_json::json!(["kept", "a/b", true, null, null]));
}

#[tokio::test]
async fn a_request_tells_node_whether_it_has_a_body() {
    let server = Server::of(
        r#"
        import { createServer } from "node:http";
        export default createServer((request, response) => {
          const parts = [];
          request.on("data", (part) => parts.push(part)).on("end", () => {
            const { "transfer-encoding": how, "content-length": length, host } = request.headers;
            response.end(JSON.stringify([how ?? null, length ?? null, host,
              request.rawHeaders.some((name) => /^host$/i.test(name)), Buffer.concat(parts).toString()]));
          });
        }).listen();
        "#,
        &["--dev"],
    );
    let ask = async |method: &str, headers: &[(&str, &str)], body: &str| {
        let mut request = http::Request::builder().method(method).uri("/").header("host", "a.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        server.send(request, "/", body.to_owned()).await.json()
    };
    assert_eq!(
        ask("POST", &[("content-length", "3")], "abc").await,
        serde_json::json!([null, "3", "a.test", true, "abc"])
    );
    assert_eq!(ask("GET", &[], "").await[0], serde_json::Value::Null);
}

#[tokio::test]
async fn zlib_takes_dictionaries_and_tells_what_is_wrong_as_node_does() {
    let server = Server::of(
        r#"
        import zlib from "node:zlib";
        const dictionary = Buffer.from("the quick brown fox jumps over the lazy dog");
        const text = "the lazy dog jumps over the quick brown fox. ".repeat(2000);
        const failure = (call) => {
          try { call(); return "nothing"; } catch ({ code, errno, message }) { return [code, errno, message]; }
        };
        const open = zlib.deflateRawSync("a", { finishFlush: 2 });
        export default {
          async fetch() {
            const packed = zlib.deflateSync(text, { dictionary });
            const raw = zlib.deflateRawSync(text, { dictionary, level: 9 });
            const inflate = zlib.createInflate({ dictionary, chunkSize: 1000 });
            const chunks = [];
            inflate.on("data", (chunk) => chunks.push(chunk));
            const ended = new Promise((done) => inflate.on("end", done));
            for (const byte of packed) inflate.write(Buffer.from([byte]));
            inflate.end();
            await ended;
            return Response.json({
              whole: zlib.inflateSync(packed, { dictionary }).toString() === text,
              raw: zlib.inflateRawSync(raw, { dictionary }).toString() === text,
              stream: Buffer.concat(chunks).toString() === text && chunks.every(({ length }) => length <= 1000),
              // As Node.js made it of "fox" with this dictionary.
              ofNode: zlib.inflateSync(Buffer.from("eLthPA/6S8uvAAACiwFO", "base64"), { dictionary }).toString(),
              missing: failure(() => zlib.inflateSync(packed)),
              bad: failure(() => zlib.inflateSync(packed, { dictionary: Buffer.from("x") })),
              window: failure(() => zlib.inflateSync(zlib.deflateSync("a"), { windowBits: 9 })),
              range: failure(() => zlib.deflateSync("a", { level: 10 })),
              large: failure(() => zlib.gzipSync(text, { maxOutputLength: 10 })),
              brotli: failure(() => zlib.brotliCompressSync("a", { params: { 99: 1 } })),
              open: zlib.inflateRawSync(Buffer.concat([open, zlib.deflateRawSync("b")])).toString(),
            });
          },
        };
        "#,
        &["--dev"],
    );
    let found = server.get("/").await.json();
    for key in ["whole", "raw", "stream"] {
        assert_eq!(found[key], serde_json::json!(true), "{key}: {found}");
    }
    assert_eq!(found["ofNode"], serde_json::json!("fox"));
    assert_eq!(found["missing"], serde_json::json!(["Z_NEED_DICT", 2, "Missing dictionary"]));
    assert_eq!(found["bad"], serde_json::json!(["Z_NEED_DICT", 2, "Bad dictionary"]));
    assert_eq!(found["window"], serde_json::json!(["Z_DATA_ERROR", -3, "invalid window size"]));
    assert_eq!(found["range"][0], serde_json::json!("ERR_OUT_OF_RANGE"));
    assert_eq!(found["large"][0], serde_json::json!("ERR_BUFFER_TOO_LARGE"));
    assert_eq!(found["brotli"][0], serde_json::json!("ERR_BROTLI_INVALID_PARAM"));
    assert_eq!(found["open"], serde_json::json!("ab"));
}
