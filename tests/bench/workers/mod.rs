//! Service workers: messages in memory and durable, what a worker takes at rest and awake, how fast it comes back, and
//! the same in Node and in workerd.
//!
//! A durable figure names its durability, its backend, the bytes that a turn writes and the syncs a second. `TURNS`
//! (10,000) are the turns of the worker whose recovery is measured.

mod folder;
mod measure;
mod memory;
mod platform;
mod rivals;

use crate::report::Report;
use elias_capabilities::Log;
use elias_host::{App, Grants, Host, Limits, LoadOptions};
use elias_local_workers::{LocalWorkers, LocalWorkersBuilder, RunningWorkers, WorkerKey};
use elias_tests::build::component;
use serde_json::json;
use std::time::Duration;

/// Workers that all take messages at the same time.
const WORKERS: u32 = 1_000;
/// The target of the median of durable messages, in milliseconds: where as many are on their way as are answered in
/// that time at the target of the rate. More of them wait for each other.
const P50_MS: f64 = 5.0;
/// How long a rate is measured.
const MEASURED_FOR: Duration = Duration::from_secs(5);
/// The number 1 in the structured clone encoding: the message, to which the worker answers with its count.
const MESSAGE: &str = "[1,1]";

/// A worker that counts; a handler `call` to be compared with; and `fetch`, which sends `each` messages to each of
/// `count` workers at once, and responds with how many milliseconds each took.
const SOURCE: &str = r#"
    import { worker, workers } from "elias";
    export class Counter extends worker.Worker {
        count = 0;
        onMessage(n) {
            this.count += n;
            return this.count;
        }
    }
    export default {
        call(input) { return input; },
        async fetch(request) {
            const { searchParams } = new URL(request.url);
            const [first, count, each] = ["first", "count", "each"].map((name) => Number(searchParams.get(name)));
            const times = Array.from({ length: count * each }, async (_, at) => {
                const began = performance.now();
                await workers.get(Counter, `w${first + at % count}`).send(1);
                return performance.now() - began;
            });
            return Response.json(await Promise.all(times));
        },
    };
"#;

/// The component in this process, and its workers.
struct InProcess {
    app: App,
    running: RunningWorkers,
}

impl InProcess {
    /// Loads the component, and starts its workers as `configure` says; all of them may be in memory.
    async fn start(wasm: &[u8], configure: impl FnOnce(LocalWorkersBuilder) -> LocalWorkersBuilder) -> Self {
        let builder = LocalWorkers::builder().awake(WORKERS as usize).idle(Duration::from_secs(3_600));
        let workers = configure(builder).build();
        let host = Host::builder().limits(Limits::default()).instances(WORKERS + 16).capability(Log);
        let host = host.capability(workers.capability()).build().expect("a host");
        let options = LoadOptions { grants: Grants::none().with("workers", json!({})), ..LoadOptions::default() };
        let app = host.load_with(wasm, &options).await.expect("it loads");
        let running = workers.start(app.clone()).await.expect("the store is read");
        Self { app, running }
    }

    /// Sends a message; gives the answer.
    async fn send(&self, number: u32) -> String {
        self.running.send(key(number), MESSAGE).await.expect("it is handled")
    }

    /// Ends the workers, so that the store is nobody's.
    async fn stop(self) {
        self.running.stop(Duration::from_secs(10)).await;
    }
}

fn key(number: u32) -> WorkerKey {
    WorkerKey::new("Counter", format!("w{number}"))
}

pub(crate) fn run(report: &mut Report) {
    let wasm = component(SOURCE);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let in_memory = runtime.block_on(memory::run(&wasm, report));
    let turn_bytes = runtime.block_on(folder::run(&wasm, report));
    runtime.block_on(platform::run(&wasm, turn_bytes, report));
    drop(runtime);
    rivals::run(&in_memory, report);
}
