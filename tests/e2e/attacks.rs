//! Attacks of a component on its host, and their results: the named error, while neighbours are answered.

use elias_tests::platform::until;
use elias_tests::serve::Server;

/// A component that attacks on the paths of `attacks` and answers `fine` elsewhere.
fn attacker(attacks: &str, flags: &[&str]) -> Server {
    let source = format!(
        r#"
        const attacks = {{ {attacks} }};
        export default {{
          async fetch(request) {{
            const name = new URL(request.url).pathname.slice(1);
            const result = name in attacks ? await attacks[name](request) : "fine";
            return result instanceof Response ? result : new Response(String(result));
          }},
        }};
        "#
    );
    Server::of(&source, flags)
}

/// Runs one attack: it ends in `code`, and the component answers afterwards.
async fn check(server: &Server, attack: &str, code: &str) {
    let answer = server.get(&format!("/{attack}")).await;
    assert_eq!(answer.code(), code, "{attack}: {answer:?}");
    assert_eq!(server.get("/").await.body, "fine", "after {attack}");
}

const SMALL: &[&str] = &["--fuel", "200000000", "--deadline-ms", "20000", "--memory-bytes", "33554432"];

#[tokio::test]
async fn an_endless_loop_ends_out_of_fuel_and_neighbours_go_on() {
    const SPIN: &str = "spin() { while (true) {} }";
    // With fuel for minutes.
    let server = attacker(SPIN, &["--workers", "1", "--fuel", "1000000000000", "--deadline-ms", "60000"]);
    let neighbours = async {
        for _ in 0..50 {
            assert_eq!(server.get("/").await.body, "fine");
        }
    };
    // One thread runs both: did the spinner not let others run, it would end first.
    tokio::select! {
        spun = server.get("/spin") => panic!("the neighbours had to wait for the spinner: {spun:?}"),
        () = neighbours => {}
    }
    check(&attacker(SPIN, SMALL), "spin", "out-of-fuel").await;
}

#[tokio::test]
async fn endless_queues_end_out_of_fuel() {
    let server = attacker(
        r"
        microtasks() { const again = () => queueMicrotask(again); again(); return new Promise(() => {}); },
        async promises() { for (;;) await null; },
        timers() { const again = () => setTimeout(again, 0); again(); return new Promise(() => {}); },
        ",
        SMALL,
    );
    check(&server, "microtasks", "out-of-fuel").await;
    check(&server, "promises", "out-of-fuel").await;
    check(&server, "timers", "out-of-fuel").await;
}

#[tokio::test]
async fn waiting_for_ever_ends() {
    let server = attacker(
        r"
        nothing() { return new Promise(() => {}); },
        hours() { return new Promise((resolve) => setTimeout(resolve, 3_600_000)); },
        ",
        &["--deadline-ms", "300"],
    );
    // Nothing can ever settle the first, which the engine sees; the second is cut by the clock.
    check(&server, "nothing", "never-settles").await;
    check(&server, "hours", "deadline").await;
}

#[tokio::test]
async fn heavy_builtins_end_within_their_budget() {
    let server = attacker(
        r#"
        regex() { return /^(a+)+$/.test("a".repeat(40) + "b"); },
        bigint() { let x = 3n; for (;;) x = x * x; },
        sort() {
          return Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) % 1000003).sort((a, b) => a - b).length;
        },
        repeat() { return "x".repeat(2 ** 29).length; },
        array() { return new Array(2 ** 32 - 1).fill(0).length; },
        parse() { return JSON.parse("[" + "1,".repeat(20_000_000) + "1]").length; },
        "#,
        SMALL,
    );
    check(&server, "regex", "out-of-fuel").await;
    for attack in ["bigint", "sort", "repeat", "array", "parse"] {
        let answer = server.get(&format!("/{attack}")).await;
        let code = answer.code();
        assert!(["out-of-fuel", "out-of-memory", "exception"].contains(&code.as_str()), "{attack}: {code}");
        assert_eq!(server.get("/").await.body, "fine", "after {attack}");
    }
}

#[tokio::test]
async fn deep_recursion_is_an_error_that_javascript_catches() {
    let server = Server::of(
        r#"
        const caught = (f) => {
          try { f(); return "no error"; } catch (error) { return error instanceof Error ? error.name : typeof error; }
        };
        const recursions = {
          plain() { const f = () => f() + 1; return caught(f); },
          method() { const o = { f(x) { return this.f(x + 1) + 1; } }; return caught(() => o.f(0)); },
          proxy() { let p = {}; for (let i = 0; i < 100_000; i++) p = new Proxy(p, {}); return caught(() => p.x); },
          json() { return caught(() => JSON.parse("[".repeat(200_000) + "]".repeat(200_000))); },
          stringify() {
            let o = {}; for (let i = 0; i < 100_000; i++) o = { o };
            return caught(() => JSON.stringify(o));
          },
          tostring() { const o = { toString() { return "" + o; } }; return caught(() => "" + o); },
          regex() { return caught(() => new RegExp("(".repeat(100_000) + ")".repeat(100_000))); },
          getter() { const o = { get x() { return o.x; } }; return caught(() => o.x); },
          spread() { const f = (...a) => f(...a, 1); return caught(f); },
          sort() { const f = () => [2, 1].sort(f); return caught(f); },
        };
        export default {
          fetch(request) { return new Response(recursions[new URL(request.url).pathname.slice(1)]()); },
        };
        "#,
        &["--fuel", "20000000000", "--deadline-ms", "60000", "--memory-bytes", "268435456"],
    );
    for recursion in ["plain", "method", "proxy", "json", "stringify", "tostring", "regex", "getter", "spread", "sort"]
    {
        let answer = server.get(&format!("/{recursion}")).await;
        assert_eq!(answer.status, 200, "{recursion}: {answer:?}");
        assert!(["RangeError", "SyntaxError"].contains(&answer.body.as_str()), "{recursion}: {}", answer.body);
    }
}

#[tokio::test]
async fn memory_growth_ends_at_the_cap_and_memory_comes_back() {
    let server = attacker(
        r#"
        objects() { const all = []; for (;;) all.push({ a: all.length }); },
        strings() { const all = []; for (let i = 0; ; i++) all.push(String(i).padStart(10_000, "x")); },
        buffers() { const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(1)); },
        "#,
        &["--memory-bytes", "33554432", "--fuel", "20000000000"],
    );
    assert_eq!(server.get("/").await.body, "fine");
    let before = server.resident_bytes();
    for _ in 0..3 {
        for attack in ["objects", "strings", "buffers"] {
            check(&server, attack, "out-of-memory").await;
        }
    }
    // Memory that has grown is given back aside. Two instances at most were in use at a time.
    let most = before + (40 << 20);
    until("resident memory is given back", async || (server.resident_bytes() < most).then_some(())).await;
}

#[tokio::test]
async fn nothing_passes_from_one_request_to_the_next() {
    let server = Server::of(
        r"
        let count = 0;
        export default {
          fetch() {
            count += 1;
            globalThis.seen = (globalThis.seen ?? 0) + 1;
            Array.prototype.extra = (Array.prototype.extra ?? 0) + 1;
            return Response.json([count, globalThis.seen, Array.prototype.extra]);
          },
        };
        ",
        &[],
    );
    for _ in 0..20 {
        assert_eq!(server.get("/").await.body, "[1,1,1]");
    }
}

#[tokio::test]
async fn instances_differ_in_randomness_and_tell_the_real_time() {
    let server = Server::of(
        r"
        export default {
          fetch() {
            return Response.json([Math.random(), crypto.randomUUID(), Date.now(), new Date().getTime()]);
          },
        };
        ",
        &[],
    );
    let mut seen = std::collections::HashSet::new();
    for _ in 0..5 {
        let answer: Vec<serde_json::Value> = serde_json::from_str(&server.get("/").await.body).expect("JSON");
        assert!(seen.insert(answer[0].to_string()), "Math.random repeats");
        assert!(seen.insert(answer[1].to_string()), "crypto repeats");
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis() as f64;
        for clock in &answer[2..] {
            let told = clock.as_f64().expect("a number");
            assert!((now - told).abs() < 60_000.0, "the clock says {told}, it is {now}");
        }
    }
}

#[tokio::test]
async fn log_floods_are_dropped_and_counted_and_escapes_shown() {
    let server = attacker(
        r#"
        flood() { for (let i = 0; i < 5_000; i++) console.log("line", i, "x".repeat(100)); return "done"; },
        escapes() { console.warn("red \x1b[31m, two\nlines, nul \0"); return "done"; },
        "#,
        &["--log-bytes-per-second", "20000"],
    );
    assert_eq!(server.get("/flood").await.body, "done");
    let log = until("the budget has filled again, and what was dropped is told", async || {
        assert_eq!(server.get("/escapes").await.body, "done");
        Some(server.log()).filter(|log| log.contains("lines, nul") && log.contains("dropped"))
    })
    .await;
    assert!(log.lines().filter(|line| line.contains("xxxxxxxxxx")).count() < 1_000, "the flood went through");
    let line = log.lines().find(|line| line.contains("lines, nul")).expect("it was logged");
    assert!(line.contains(r"\\u{1b}[31m") && line.contains(r"two\\nlines") && line.contains(r"\\u{0}"), "{line}");
    let event: serde_json::Value = serde_json::from_str(line).expect("a line is one JSON object");
    assert_eq!(event["level"], "WARN");
    assert!(event["execution"].as_str().is_some_and(|id| id.len() == 26), "{line}");
}
