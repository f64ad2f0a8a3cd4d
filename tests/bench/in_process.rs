//! A fresh instance, the handler, and the drop, against the floor: bare wasmtime doing the same with the same
//! component.

use crate::bare::Bare;
use crate::report::Report;
use bytes::Bytes;
use elias_capabilities::{Cache, Config, Db, Http};
use elias_host::engine::{Allocation, wasmtime_config};
use elias_host::{App, Host, IdleLimits, Limits};
use elias_tests::build::component;
use http_body_util::{BodyExt, Empty};
use std::time::Instant;

const ROUNDS: usize = 5_000;

const HELLO: &str = r#"
export default {
  fetch() { return new Response("Hello, world!\n"); },
  call(input) { return "Hello, " + input; },
};
"#;

pub(crate) async fn run(report: &mut Report) {
    let hello = component(HELLO);
    let call_only = component("export default { call(input) { return 'Hello, ' + input; } };");
    let host = Host::builder().limits(Limits::default()).build().expect("a host");
    let app = host.load(&hello).await.expect("it loads");
    let input = serde_json::json!("world");
    // The best of three, each with its own floor, since the machine is shared.
    let mut best = (f64::MAX, 0.0, 0.0);
    for _ in 0..3 {
        let floor = floor(&call_only).await;
        let call = measure(async || drop(app.call(&input).await.expect("an answer"))).await;
        let fetch = measure(async || fetch(&app).await).await;
        if floor < best.0 {
            best = (floor, call, fetch);
        }
    }
    let (floor, call, fetched) = best;
    report.row("floor: bare wasmtime, instance + call + drop, p50", &format!("{floor:.1} us"), "", None);
    let ratio = call / floor;
    report.row("`app.call`, hello, p50", &format!("{call:.1} us, {ratio:.2}x the floor"), "2x", Some(ratio <= 2.0));
    let ratio = fetched / floor;
    report.row("`app.fetch`, hello, p50", &format!("{fetched:.1} us, {ratio:.2}x the floor"), "4x", Some(ratio <= 4.0));
    let unused = IdleLimits { bytes: 0, ..IdleLimits::default() };
    let fresh = Host::builder().idle(unused).build().expect("a host").load(&hello).await.expect("it loads");
    let fresh = measure(async || drop(fresh.call(&input).await.expect("an answer"))).await;
    let recycled = measure(async || drop(app.call(&input).await.expect("an answer"))).await;
    let ratio = recycled / fresh;
    report.row(
        "`app.call`, hello, in a used instance against one in a new instance",
        &format!("{ratio:.2}x ({recycled:.1} us against {fresh:.1} us)"),
        "0.20x",
        Some(ratio <= 0.2),
    );
    let capable = Host::builder().limits(Limits::default()).capability(Cache::new()).capability(Config);
    let capable = capable.capability(Db::new(std::env::temp_dir())).capability(Http).build().expect("a host");
    let capable = capable.load(&hello).await.expect("it loads");
    let without = measure(async || fetch(&app).await).await;
    let ratio = measure(async || fetch(&capable).await).await / without;
    report.row(
        "the same on a host with all capabilities, none imported",
        &format!("{ratio:.2}x"),
        "1.05x",
        Some(ratio <= 1.05),
    );
    let ratio = throughput(&app, 2) / throughput(&app, 1);
    report.row("two worker threads against one, `app.fetch`", &format!("{ratio:.2}x"), "1.7x", Some(ratio >= 1.7));
}

pub(crate) async fn fetch(app: &App) {
    let request = http::Request::get("http://localhost/").body(Empty::<Bytes>::new()).expect("a request");
    app.fetch(request).await.expect("an answer").into_body().collect().await.expect("a body");
}

/// Requests a second on so many threads, each with a runtime of its own.
fn throughput(app: &App, threads: usize) -> f64 {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    for _ in 0..4 * ROUNDS {
                        fetch(app).await;
                    }
                });
            });
        }
    });
    (threads * 4 * ROUNDS) as f64 / started.elapsed().as_secs_f64()
}

/// Bare wasmtime: a store, an instance, one call, the drop.
async fn floor(bytes: &[u8]) -> f64 {
    let pool = Allocation::Pooling { instances: 16, memory_bytes: 64 << 20, table_elements: 20_000 };
    let bare = Bare::new(&wasmtime_config(&pool), bytes);
    measure(async || assert_eq!(bare.call("\"world\"").await, "\"Hello, world\"")).await
}

/// The median of [`ROUNDS`] runs, in microseconds.
async fn measure(run: impl AsyncFn()) -> f64 {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        run().await;
        times.push(started.elapsed());
    }
    times.sort();
    times[ROUNDS / 2].as_secs_f64() * 1e6
}
