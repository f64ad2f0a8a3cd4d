//! Service workers of a platform that is killed again and again under load, `KILLS` times (10): no turn that was
//! answered is lost, none counts twice, and in the end each worker is as its twin that was never killed.

use crate::parameters::number_of;
use crate::report::Report;
use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::tenant::{Tenant, service};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

const KILLS: u64 = 10;
/// Workers that take messages, and those that one request has a twin take.
const WORKERS: usize = 8;
const TWIN_MESSAGES: u64 = 50;

/// A worker that remembers each number that it got: in a Set, a Map of objects, a private field, a closure and a
/// generator that is suspended. `twin` gives it numbers one after another.
const SOURCE: &str = r#"
    import { worker, workers } from "elias";
    class Item {
        constructor(id) { this.id = id; this.marks = []; }
        mark(n) { this.marks.push(n); }
    }
    async function* sums() {
        let sum = 0;
        for (;;) sum += yield sum;
    }
    export class Log extends worker.Worker {
        count = 0;
        hash = 0;
        last = 0;
        seen = new Set();
        items = new Map();
        alias = this.items;
        #hidden = 0;
        next = (() => { let calls = 0; return () => ++calls; })();
        generator = sums();
        async add(id) {
            this.count += 1;
            this.hash = (this.hash * 31 + id) % 1_000_003;
            this.last = Math.max(this.last, id);
            this.seen.add(id);
            this.#hidden += id;
            this.next();
            if (this.count === 1) await this.generator.next();
            await this.generator.next(id);
            const item = this.items.get(id % 100) ?? new Item(id % 100);
            this.items.set(id % 100, item);
            if (item.marks.length < 10) item.mark(id);
            return this.count;
        }
        summary() { return { count: this.count, size: this.seen.size, last: this.last }; }
        async hidden() {
            const { value } = await this.generator.next(0);
            return [this.#hidden, this.next(), value, this.alias === this.items, this.items.get(1) instanceof Item];
        }
    }
    export default {
        async fetch(request) {
            const { searchParams } = new URL(request.url);
            const log = workers.get(Log, searchParams.get("name"));
            const [from, to] = ["from", "to"].map((name) => Number(searchParams.get(name)));
            for (let id = from; id <= to; id++) await log.add(id);
            return new Response("done");
        },
    };
"#;

/// What is known of a worker: the last number that it answered.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    answered: u64,
    lost: u64,
    doubled: u64,
}

pub(crate) fn run(report: &mut Report) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let wasm = component(SOURCE);
        let (mut victim, twin) = (start(), start());
        for platform in [&victim, &twin] {
            let settings = json!({ "capabilities": { "workers": {} }, "smoke": { "path": "" } });
            platform.default_tenant().serve("logs", &wasm, settings).await;
        }
        let kills = number_of("KILLS", KILLS).max(1);
        let mut workers = [Sent::default(); WORKERS];
        for kill in 0..kills {
            // Between 20 and 519 ms, each as often.
            let life = Duration::from_millis(20 + kill * 137 % 500);
            let load = join_all(workers.iter_mut().enumerate().map(|(number, sent)| send(&victim, number, sent)));
            let killed = async {
                tokio::time::sleep(life).await;
                victim.signal("-KILL");
            };
            futures::future::join(load, killed).await;
            victim.restart();
            for (number, sent) in workers.iter_mut().enumerate() {
                look(&victim.default_tenant(), number, sent).await;
            }
        }
        let mut differ = 0;
        for (number, sent) in workers.iter().enumerate() {
            differ += u64::from(!is_as_its_twin(&victim, &twin, number, sent.answered).await);
        }
        let turns: u64 = workers.iter().map(|sent| sent.answered).sum();
        let mut row = |what: &str, faults: u64| {
            let what =
                format!("kill -9, {kills} times of a platform whose {WORKERS} service workers run turns: {what}");
            report.row(&what, &format!("{faults} ({turns} turns)"), "0", Some(faults == 0));
        };
        row("turns lost that were answered", workers.iter().map(|sent| sent.lost).sum());
        row("turns that count twice", workers.iter().map(|sent| sent.doubled).sum());
        row("workers whose state is not that of a twin that was never killed", differ);
    });
}

fn start() -> Platform {
    Platform::start_with(&[], &[("ELIAS_LOG", "off".to_owned())])
}

fn path(number: usize, rest: &str) -> String {
    service("logs", "production", &format!("/workers/Log/w{number}{rest}"))
}

/// Sends numbers to a worker one after another, until the host answers no more.
async fn send(platform: &Platform, number: usize, sent: &mut Sent) {
    let team = platform.default_tenant();
    loop {
        let message = json!({ "method": "add", "args": [sent.answered + 1] });
        let path = team.path(&path(number, "/messages"));
        match platform.try_admin(&team.token, "POST", &path, message).await {
            Ok((200, answer)) => {
                sent.answered += 1;
                sent.doubled += u64::from(answer["answer"] != sent.answered);
            }
            // The host is being killed, or the answer is lost with it.
            Ok(_) | Err(_) => return,
        }
    }
}

/// Compares what a worker holds after a restart with what it answered.
async fn look(team: &Tenant<'_>, number: usize, sent: &mut Sent) {
    let ask = json!({ "method": "summary" });
    let summary = until("the worker answers", async || {
        let (status, mut answer) = team.ask("POST", &path(number, "/messages"), ask.clone()).await;
        (status == 200).then(|| answer["answer"].take())
    })
    .await;
    let [count, size, last] = ["count", "size", "last"].map(|name| summary[name].as_u64().expect("a number"));
    sent.lost += sent.answered.saturating_sub(size) + last.abs_diff(size);
    sent.doubled += count - size;
    // The one that was under way may have been handled, and is then not sent again.
    sent.answered = size;
}

/// Has the twin handle the same numbers; whether both are the same then, in what is shown and in what is not.
async fn is_as_its_twin(victim: &Platform, twin: &Platform, number: usize, last: u64) -> bool {
    let (victim, twin) = (victim.default_tenant(), twin.default_tenant());
    let mut from = 1;
    while from <= last {
        let to = last.min(from + TWIN_MESSAGES - 1);
        let answer = twin.get("logs", &format!("/?name=w{number}&from={from}&to={to}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        from = to + 1;
    }
    held(&victim, number).await == held(&twin, number).await
}

/// What a worker holds: its state as it is shown, and what its methods say of the rest.
async fn held(team: &Tenant<'_>, number: usize) -> [Value; 2] {
    let state = team.done("GET", &path(number, "/state"), Value::Null).await;
    [state, team.done("POST", &path(number, "/messages"), json!({ "method": "hidden" })).await]
}
