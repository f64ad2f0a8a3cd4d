//! JavaScript that computes, in a guest with fuel on, against native QuickJS of the same version on the same source.

use crate::bare::Bare;
use crate::report::Report;
use elias_host::engine::{Allocation, wasmtime_config};
use elias_host::{Host, Limits};
use elias_tests::build::component;
use std::time::Instant;

const ROUNDS: usize = 7;

/// Name, and a script that defines `run()`.
const PROGRAMS: [(&str, &str); 3] = [
    ("fib(30)", "function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); } function run() { return fib(30); }"),
    (
        "JSON round trip, 2,000 objects, 20 times",
        "const rows = Array.from({ length: 2000 }, (_, i) => ({ id: i, name: 'row ' + i, tags: ['a', 'b'], \
         at: i / 3 }));
         function run() { let n = 0; for (let i = 0; i < 20; i++) n += JSON.parse(JSON.stringify(rows)).length; \
         return n; }",
    ),
    (
        "regular expression, 20,000 matches",
        r"const line = 'GET /users/1234/posts?sort=new HTTP/1.1';
          const re = /^(\w+) \/users\/(\d+)\/(\w+)\?(\w+)=(\w+)/;
         function run() { let n = 0; for (let i = 0; i < 20000; i++) n += re.exec(line)[2].length; return n; }",
    ),
];

pub(crate) async fn run(report: &mut Report) {
    let limits = Limits { fuel: u64::MAX / 2, deadline_ms: 120_000, ..Limits::default() };
    let host = Host::builder().limits(limits).build().expect("a host");
    let nothing = serde_json::Value::Null;
    for (name, script) in PROGRAMS {
        let wasm = component(&format!("{script}\nexport default {{ call() {{ return run(); }} }};"));
        let app = host.load(&wasm).await.expect("it loads");
        let mut config = wasmtime_config(&Allocation::OnDemand);
        let without_fuel = Bare::new(config.consume_fuel(false), &wasm);
        let with_bounds_checks = Bare::new(config.memory_reservation(0).memory_guard_size(0), &wasm);
        let runtime = rquickjs::Runtime::new().expect("a runtime");
        let context = rquickjs::Context::full(&runtime).expect("a context");
        context.with(|ctx| ctx.eval::<(), _>(format!("{script}; globalThis.run = run;"))).expect("it evaluates");
        // In turns, so that what else the machine does falls on all of them.
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            let started = Instant::now();
            app.call(&nothing).await.expect("an answer");
            times[0].push(started.elapsed());
            for (bare, times) in [&without_fuel, &with_bounds_checks].into_iter().zip(&mut times[1..]) {
                let started = Instant::now();
                bare.call("null").await;
                times.push(started.elapsed());
            }
            let started = Instant::now();
            context.with(|ctx| ctx.eval::<f64, _>("run()")).expect("an answer");
            times[3].push(started.elapsed());
        }
        let [ours, without_fuel, with_bounds_checks, native] = times.map(|mut times| {
            times.sort();
            times[ROUNDS / 2].as_secs_f64() * 1e3
        });
        let ratio = ours / native;
        let measured = format!(
            "{ours:.1} ms, native QuickJS {native:.1} ms, {ratio:.2}x; without fuel {:.2}x, and with explicit bounds \
             checks \
             in place of guard pages {:.2}x",
            without_fuel / native,
            with_bounds_checks / native
        );
        report.row(&format!("guest CPU: {name}"), &measured, "2.0x", Some(ratio <= 2.0));
    }
}
