//! Attacks through the web APIs: each ends in its named error within the budget, and the host's memory stays bounded.

use elias_tests::platform::until;
use elias_tests::serve::Server;
use std::io::Write;

const FLAGS: [&str; 6] = ["--fuel", "500000000", "--deadline-ms", "10000", "--memory-bytes", "33554432"];

/// The memory that the host may keep of instances that are gone: a pool's slots, and the allocator's slack.
const SLACK_BYTES: u64 = 48 << 20;

/// A component that attacks on the paths of `attacks` and answers `fine` elsewhere.
fn attacker(attacks: &str) -> Server {
    let source = format!(
        r#"
        const caught = async (f) => {{
          try {{ return `ended with ${{await f()}}`; }} catch (error) {{ return error.name; }}
        }};
        const attacks = {{ {attacks} }};
        export default {{
          async fetch(request) {{
            const name = new URL(request.url).pathname.slice(1);
            return new Response(String(name in attacks ? await attacks[name](request) : "fine"));
          }},
        }};
        "#
    );
    Server::of(&source, &FLAGS)
}

/// Runs one attack; it ends in one of `outcomes` (codes, or what the guest caught), and the component answers
/// afterwards.
async fn check(server: &Server, attack: &str, body: &[u8], outcomes: &[&str]) {
    let path = format!("/{attack}");
    let answer = match server.try_send(http::Request::post("/"), &path, body.to_vec()).await {
        Ok(answer) => answer,
        Err(_) => server.send(http::Request::post("/"), &path, body.to_vec()).await,
    };
    let outcome = if answer.status == 200 { answer.body.clone() } else { answer.code() };
    assert!(outcomes.contains(&outcome.as_str()), "{attack}: {answer:?}");
    assert_eq!(fine(server).await, "fine", "after {attack}");
}

/// The response of the component when it is not attacked. A connection on which a body was left unread may end under
/// the request.
async fn fine(server: &Server) -> String {
    for _ in 0..5 {
        if let Ok(answer) = server.try_send(http::Request::get("/"), "/", "").await {
            return answer.body;
        }
    }
    "no answer".to_owned()
}

#[tokio::test]
async fn endless_queues_of_every_kind_end_out_of_fuel() {
    let server = attacker(
        r#"
        interval() { setInterval(() => {}, 0); return new Promise(() => {}); },
        immediates() { const again = () => setImmediate(again); again(); return new Promise(() => {}); },
        ticks() { const again = () => process.nextTick(again); again(); return new Promise(() => {}); },
        thenables() { const endless = { then(resolve) { resolve(endless); } }; return endless; },
        async generator() { async function* endless() { for (;;) yield 1; } for await (const x of endless()); },
        async stream() {
          const endless = new ReadableStream({ pull(controller) { controller.enqueue("x"); } });
          for await (const x of endless);
        },
        async tee() {
          const [one] = new ReadableStream({ pull(controller) { controller.enqueue(new Uint8Array(1000)); } }).tee();
          for await (const x of one);
        },
        rejections() { const again = () => Promise.reject(1).catch(again); again(); return new Promise(() => {}); },
        abort() {
          const again = () => { const a = new AbortController(); a.signal.onabort = () => queueMicrotask(again);
            a.abort(); };
          again(); return new Promise(() => {});
        },
        "#,
    );
    for attack in ["immediates", "ticks", "thenables", "generator", "stream", "rejections", "abort"] {
        check(&server, attack, b"", &["out-of-fuel"]).await;
    }
    // One of them waits a millisecond each time; the other keeps for its second branch what the first has read.
    check(&server, "interval", b"", &["out-of-fuel", "deadline"]).await;
    check(&server, "tee", b"", &["out-of-memory", "out-of-fuel"]).await;
}

#[tokio::test]
async fn expensive_web_apis_end_within_their_budget() {
    let server = attacker(
        r#"
        pattern() {
          const pattern = new URLPattern({ pathname: "/:a((?:x+)+)y" });
          return pattern.test({ pathname: "/" + "x".repeat(40) });
        },
        patterns() { for (let i = 0; ; i++) new URLPattern({ pathname: `/${":a".repeat(1)}/${i}` }); },
        async pbkdf2() {
          const key = await crypto.subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]);
          const how = { name: "PBKDF2", hash: "SHA-512", salt: new Uint8Array(8), iterations: 4_000_000_000 };
          return (await crypto.subtle.deriveBits(how, key, 256)).byteLength;
        },
        async rsa() {
          const how = { name: "RSA-PSS", hash: "SHA-256", modulusLength: 16384,
            publicExponent: new Uint8Array([1, 0, 1]) };
          return (await crypto.subtle.generateKey(how, true, ["sign", "verify"])).publicKey.type;
        },
        async rsas() {
          const how = { name: "RSA-PSS", hash: "SHA-256", modulusLength: 2048,
            publicExponent: new Uint8Array([1, 0, 1]) };
          for (;;) await crypto.subtle.generateKey(how, true, ["sign", "verify"]);
        },
        async digests() {
          const block = new Uint8Array(1 << 20);
          for (;;) await crypto.subtle.digest("SHA-512", block);
        },
        numbers() { const format = new Intl.NumberFormat("en"); for (;;) format.format(10n ** 1000n); },
        dates() {
          for (;;) new Intl.DateTimeFormat("de", { timeZone: "America/New_York", dateStyle: "full" }).format(0);
        },
        locales() { return Intl.getCanonicalLocales(Array(100_000).fill("en-US")).length; },
        search() { const all = new URLSearchParams(); for (let i = 0; ; i++) { all.append("a", i); all.get("b"); } },
        headers() { const all = new Headers(); for (let i = 0; ; i++) all.append("x-" + i, "x".repeat(1000)); },
        base64() { let text = "a"; for (;;) text = btoa(text); },
        formdata() { const form = new FormData(); for (let i = 0; ; i++) form.append("a", "x".repeat(1000)); },
        big() { return (7n ** (10n ** 9n)).toString().length; },
        "#,
    );
    for attack in ["pattern", "patterns", "pbkdf2", "rsas", "digests", "numbers", "dates"] {
        check(&server, attack, b"", &["out-of-fuel"]).await;
    }
    for attack in ["rsa", "locales", "search", "headers", "base64", "formdata", "big"] {
        let outcomes = ["out-of-fuel", "out-of-memory", "exception", "100000", "1"];
        check(&server, attack, b"", &outcomes).await;
    }
}

#[tokio::test]
async fn deep_structures_are_errors_that_javascript_catches() {
    let server = attacker(
        r#"
        clone: () => caught(() => { let o = {}; for (let i = 0; i < 50_000; i++) o = { o }; structuredClone(o); }),
        cloned: () => caught(() => { let o = []; for (let i = 0; i < 50_000; i++) o = [o]; structuredClone(o); }),
        inspect: () => caught(() => { let o = {}; for (let i = 0; i < 50_000; i++) o = { o }; console.log(o);
          return "a line"; }),
        causes: () => caught(() => {
          let e = new Error("0"); for (let i = 0; i < 20_000; i++) e = new Error("x", { cause: e });
          console.error(e); return "a line"; }),
        response: () => caught(() => { let o = {}; for (let i = 0; i < 50_000; i++) o = { o }; Response.json(o); }),
        dispatch: () => caught(() => { const t = new EventTarget(); let deep = 0;
          t.addEventListener("x", () => { deep++; t.dispatchEvent(new Event("x")); });
          t.dispatchEvent(new Event("x")); return "some depth"; }),
        "#,
    );
    for attack in ["clone", "cloned", "inspect", "causes", "response", "dispatch"] {
        let outcomes = ["RangeError", "DataCloneError", "ended with a line", "ended with some depth", "out-of-fuel"];
        check(&server, attack, b"", &outcomes).await;
    }
}

#[tokio::test]
async fn a_decompression_bomb_ends_at_the_memory_cap_and_memory_comes_back() {
    let server = attacker(
        r#"
        async whole(request) {
          const plain = request.body.pipeThrough(new DecompressionStream("gzip"));
          return (await new Response(plain).arrayBuffer()).byteLength;
        },
        async counted(request) {
          let bytes = 0;
          for await (const chunk of request.body.pipeThrough(new DecompressionStream("gzip"))) bytes += chunk.length;
          return bytes;
        },
        async json(request) { return (await request.json()).length; },
        "#,
    );
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..256 {
        bomb.write_all(&[0; 1 << 20]).expect("memory");
    }
    let bomb = bomb.finish().expect("memory");
    assert_eq!(server.get("/").await.body, "fine");
    let before = server.resident_bytes();
    for _ in 0..3 {
        check(&server, "whole", &bomb, &["out-of-memory", "out-of-fuel"]).await;
        check(&server, "counted", &bomb, &["out-of-memory", "out-of-fuel", "268435456"]).await;
        check(&server, "json", "[".repeat(1 << 20).as_bytes(), &["exception"]).await;
    }
    let after = server.resident_bytes();
    assert!(after < before + SLACK_BYTES, "resident memory went from {before} to {after}");
}

#[tokio::test]
async fn exceptions_do_not_flood_the_log() {
    let source = "export default { fetch() { throw new Error('\\x1b[31m' + 'x'.repeat(100_000) + '\\n'); } };";
    let server = Server::of(source, &["--log-bytes-per-second", "40000"]);
    for _ in 0..50 {
        assert_eq!(server.get("/").await.code(), "exception");
    }
    let log = until("the budget has filled again, and what was dropped is told", async || {
        assert_eq!(server.get("/").await.code(), "exception");
        Some(server.log()).filter(|log| log.contains("dropped"))
    })
    .await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("Uncaught Error")).collect();
    assert!(lines.len() < 20, "{} lines went through", lines.len());
    assert!(
        lines.iter().all(|line| line.len() < 20_000 && !line.contains('\x1b')),
        "a line is not bounded or not safe"
    );
}
