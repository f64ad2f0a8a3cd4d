//! The cost of the web APIs: JSON, strings and sorting against `StarlingMonkey`, SHA-256 against native code.

use crate::report::Report;
use crate::starling_monkey::StarlingMonkey;
use elias_host::{Host, Limits};
use elias_tests::build::component;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::time::Instant;

const ROUNDS: usize = 7;

/// Name, a script that defines `run()`, and the most that ours may take of `StarlingMonkey`'s time.
const PROGRAMS: [(&str, &str, Option<f64>); 4] = [
    (
        "JSON round trip of 2 KB, 1,000 times",
        "const rows = Array.from({ length: 20 }, (_, i) => ({ id: i, name: 'user ' + i, email: `user${i}@example.com`, \
           active: i % 2 === 0, score: i * 1.5, tags: ['a', 'b'] }));
         const text = JSON.stringify(rows);
         function run() { let n = 0; for (let i = 0; i < 1000; i++) n += JSON.stringify(JSON.parse(text)).length; \
         return n; }",
        Some(2.0),
    ),
    (
        "sorting 20,000 numbers",
        "function run() { let seed = 1; const list = Array.from({ length: 20000 }, () => (seed = (seed * 48271) % \
         2147483647));
         return list.sort((a, b) => a - b)[7]; }",
        None,
    ),
    (
        "strings: split, join, replace, 500 times",
        "const text = 'the quick brown fox jumps over the lazy dog '.repeat(20);
         function run() { let n = 0; for (let i = 0; i < 500; i++) \
           n += text.split(' ').map((word) => word.toUpperCase()).join('-').replaceAll('FOX', 'cat').length; \
           return n; }",
        None,
    ),
    (
        "regular expression, 20,000 matches",
        r"const line = 'GET /users/1234/posts?sort=new HTTP/1.1';
          const re = /^(\w+) \/users\/(\d+)\/(\w+)\?(\w+)=(\w+)/;
         function run() { let n = 0; for (let i = 0; i < 20000; i++) n += re.exec(line)[2].length; return n; }",
        None,
    ),
];

pub(crate) async fn run(report: &mut Report) {
    let limits = Limits { fuel: u64::MAX / 2, deadline_ms: 120_000, ..Limits::default() };
    let host = Host::builder().limits(limits).capability(elias_capabilities::Crypto).build().expect("a host");
    for (name, script, most) in PROGRAMS {
        let app = host.load(&component(&format!("{script}\nexport default {{ call() {{ return run(); }} }};"))).await;
        let app = app.expect("it loads");
        let mut rival = StarlingMonkey::new(script).await;
        rival.run().await; // it compiles lazily
        let mut times = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            let started = Instant::now();
            app.call(&Value::Null).await.expect("an answer");
            times[0].push(started.elapsed().as_secs_f64() * 1e3);
            let started = Instant::now();
            rival.run().await;
            times[1].push(started.elapsed().as_secs_f64() * 1e3);
        }
        let [ours, theirs] = times.map(median);
        let ratio = ours / theirs;
        let target = most.map_or_else(String::new, |most| format!("{most:.1}x"));
        let measured = format!("{ours:.1} ms, StarlingMonkey {theirs:.1} ms, {ratio:.2}x");
        report.row(&format!("guest: {name}"), &measured, &target, most.map(|most| ratio <= most));
    }
    sha256(&host, report).await;
}

/// Ten digests a call, so that the call itself does not count.
async fn sha256(host: &Host, report: &mut Report) {
    let source = "const data = new Uint8Array(1 << 20).fill(7);
        export default { async call() { for (let i = 0; i < 10; i++) await crypto.subtle.digest('SHA-256', data); \
        return 0; } };";
    let app = host.load(&component(source)).await.expect("it loads");
    let data = vec![7_u8; 1 << 20];
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        let started = Instant::now();
        app.call(&Value::Null).await.expect("an answer");
        times[0].push(started.elapsed().as_secs_f64() * 1e3 / 10.0);
        let started = Instant::now();
        for _ in 0..10 {
            std::hint::black_box(Sha256::digest(std::hint::black_box(&data)));
        }
        times[1].push(started.elapsed().as_secs_f64() * 1e3 / 10.0);
    }
    let [ours, native] = times.map(median);
    let ratio = ours / native;
    let measured = format!("{ours:.2} ms, native {native:.2} ms, {ratio:.2}x");
    report.row("crypto.subtle: SHA-256 of 1 MB", &measured, "1.5x", Some(ratio <= 1.5));
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
