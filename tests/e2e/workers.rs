//! Service workers in JavaScript: what they hold survives their host, and a turn that fails changes nothing.

use elias_host::{
    App, CallOptions, Error, ErrorCode, Host, Limits, Turn, TurnKind, TurnOutcome, TurnState, Worker, WorkerHeap,
};
use elias_tests::build::component;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

const CART: &str = r#"
import { worker } from "elias";

class Item {
  constructor(sku, count) { this.sku = sku; this.count = count; }
  twice() { return this.count * 2; }
}

async function* numbers() {
  let next = 10;
  try { for (;;) yield next++; } finally { next = 0; }
}

export class Cart extends worker.Worker {
  items = new Map();
  #secret = 1;
  counter = (() => { let count = 0; return () => ++count; })();
  generator = numbers();
  first = { marks: [] };
  second = this.first;
  number = 0;
  started = 0;

  async onStart() { this.started += 1; }
  async add(sku, count) { this.items.set(sku, new Item(sku, count)); return this.items.size; }
  async list() {
    return [...this.items].map(([key, item]) => [key, item.sku, item.twice(), item instanceof Item]);
  }
  async count() { return this.counter(); }
  async secret() { return this.#secret *= 2; }
  async mark(text) { this.first.marks.push(text); return [this.first === this.second, this.second.marks.join()]; }
  async step() { return (await this.generator.next()).value; }
  async later(ms) {
    const before = this.counter();
    const sum = await new Promise((resolve) => setTimeout(resolve, ms)).then(() => before).then((value) => value + 1);
    return ["later", sum, this.counter()];
  }
  async set(number) { this.number = number; }
  async random() { return [Math.random(), Math.random(), crypto.randomUUID()]; }
  async today() { return Date.now(); }
  async state() { return [this.started, this.number, this.items.size]; }
  async fail(megabytes) {
    this.number = -1;
    this.items.clear();
    this.#secret = 0;
    this.large = Array.from({ length: megabytes }, () => new Uint8Array(1 << 20).fill(7));
    throw new RangeError("as told");
  }
  async spin() { this.items.clear(); for (;;) this.number -= 1; }
  async fill() { this.items.clear(); for (const all = [];;) all.push(new Uint8Array(1 << 20).fill(7)); }
}
"#;

fn limits() -> Limits {
    Limits { fuel: 200_000_000, memory_bytes: 48 << 20, ..Limits::default() }
}

/// The component in a host of its own.
pub(crate) async fn load(component: &[u8]) -> App {
    let host = Host::builder().limits(limits()).instances(8).capability(elias_capabilities::Log).build();
    host.expect("a host").load(component).await.expect("it loads")
}

/// A list of strings and numbers in the structured clone encoding: docs/reference/workers.md.
fn encoded(list: &Value) -> String {
    let entry: Vec<Value> = std::iter::once(json!("array")).chain(list.as_array().expect("a list").clone()).collect();
    json!([1, [2], entry]).to_string()
}

/// A value of lists, strings, numbers and booleans; null for undefined.
fn decoded(text: &str) -> Value {
    fn value(slot: &Value, entries: &[Value]) -> Value {
        let Some(slot) = slot.as_array() else { return slot.clone() };
        match slot[0].as_u64() {
            Some(at) => {
                let entry = entries[usize::try_from(at).expect("small")].as_array().expect("a list");
                assert_eq!(entry[0], "array", "{entry:?}");
                entry[1..].iter().map(|slot| value(slot, entries)).collect()
            }
            None => {
                assert_eq!(slot[0], "undefined");
                Value::Null
            }
        }
    }
    let entries: Vec<Value> = serde_json::from_str(text).expect("it is a list");
    assert_eq!(entries[0], 1, "version 1 of the encoding: {text}");
    value(&entries[1], &entries)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later");
    u64::try_from(now.as_millis()).expect("it is not that late")
}

pub(crate) fn turn(kind: TurnKind) -> Turn {
    let id = "0198a1f0-5c6e-7000-8000-000000000001".to_owned();
    Turn { class: "Cart".to_owned(), name: "user-42".to_owned(), id, now: now(), kind }
}

fn method(method: &str, args: &Value) -> Turn {
    turn(TurnKind::Call { method: method.to_owned(), args: encoded(args) })
}

pub(crate) async fn run(worker: &mut Worker, turn: &Turn) -> Result<TurnOutcome, Error> {
    worker.turn(turn, CallOptions::default()).await
}

/// Calls a method that ends with its turn.
pub(crate) async fn call(worker: &mut Worker, name: &str, args: Value) -> Value {
    let outcome = run(worker, &method(name, &args)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(outcome.result.state, TurnState::Done, "{name}");
    decoded(&outcome.result.answer.expect("a call has an answer"))
}

/// A worker whose first turn is over.
pub(crate) async fn started(app: &App) -> Worker {
    let mut worker = app.start_worker().expect("it has workers");
    run(&mut worker, &turn(TurnKind::Start)).await.expect("it starts");
    worker.commit();
    worker
}

/// The worker in a new host, by way of its heap's bytes.
pub(crate) async fn moved(worker: Worker, component: &[u8]) -> Worker {
    let bytes = worker.heap().to_bytes().expect("bytes");
    drop(worker);
    let heap = WorkerHeap::from_bytes(&bytes, limits().memory_bytes).expect("they are a heap");
    let restored = load(component).await.restore_worker(&heap).expect("it is of this application");
    assert!(restored.heap() == heap);
    assert_eq!(restored.heap().to_bytes().expect("bytes"), bytes);
    restored
}

#[tokio::test]
async fn what_a_worker_holds_survives_its_host() {
    let component = component(CART);
    let app = load(&component).await;
    assert!(app.handlers().worker);
    let mut worker = started(&app).await;
    drop(app);
    for round in 1..=4 {
        assert_eq!(call(&mut worker, "add", json!([format!("A{round}"), round])).await, round);
        assert_eq!(call(&mut worker, "count", json!([])).await, round);
        assert_eq!(call(&mut worker, "secret", json!([])).await, 1 << round);
        assert_eq!(call(&mut worker, "step", json!([])).await, 9 + round, "the generator goes on where it was");
        let marks = (1..=round).map(|round| format!("m{round}")).collect::<Vec<_>>().join(",");
        let marked = call(&mut worker, "mark", json!([format!("m{round}")])).await;
        assert_eq!(marked, json!([true, marks]), "both names are of one object");
        let items: Vec<Value> =
            (1..=round).map(|round| json!([format!("A{round}"), format!("A{round}"), 2 * round, true])).collect();
        assert_eq!(call(&mut worker, "list", json!([])).await, json!(items));
        worker.commit();
        worker = moved(worker, &component).await;
    }
    assert_eq!(call(&mut worker, "state", json!([])).await, json!([1, 0, 4]), "it was started once");
}

/// The engine of another release: the same code under another digest.
fn other_engine() -> Vec<u8> {
    // A custom section: its number, its length, and a name.
    [elias_build::engine::ENGINE, &[0, 6, 5], b"later"].concat()
}

#[tokio::test]
async fn a_worker_goes_on_in_a_host_of_a_release_that_has_another_engine() {
    let component = component(CART);
    let host = |engine: Vec<u8>| {
        let host = Host::builder().limits(limits()).instances(8).capability(elias_capabilities::Log);
        host.engine(engine).base(elias_build::engine::BASE).build().expect("a host")
    };
    let former = host(elias_build::engine::ENGINE.to_vec()).load(&component).await.expect("it loads");
    let mut worker = started(&former).await;
    assert_eq!(call(&mut worker, "count", json!([])).await, 1);
    worker.commit();
    let bytes = worker.heap().to_bytes().expect("bytes");
    drop((worker, former));
    // The component carries the engine that the heap needs, and the later host compiles it.
    let later = host(other_engine()).load(&component).await.expect("it loads");
    let heap = WorkerHeap::from_bytes(&bytes, limits().memory_bytes).expect("they are a heap");
    assert_eq!(heap.engine(), elias_contract::digest(elias_build::engine::ENGINE));
    let mut worker = later.restore_worker(&heap).expect("it is of this component");
    assert_eq!(call(&mut worker, "count", json!([])).await, 2, "a closure goes on");
}

#[tokio::test]
async fn a_promise_that_waits_for_a_timer_survives_its_host() {
    let component = component(CART);
    let mut worker = started(&load(&component).await).await;
    let before = now();
    let outcome = run(&mut worker, &method("later", &json!([60_000]))).await.expect("it waits");
    assert_eq!((outcome.result.state, &outcome.result.answer), (TurnState::Waiting, &None));
    let [timer] = &outcome.result.timers.set[..] else { panic!("it set one timer: {:?}", outcome.result.timers) };
    assert!(timer.at >= before + 60_000, "{timer:?}");
    worker.commit();
    let mut worker = moved(worker, &component).await;
    let outcome = run(&mut worker, &turn(TurnKind::Timer { timer: timer.timer })).await.expect("it goes on");
    assert_eq!(outcome.result.state, TurnState::Done);
    assert_eq!(decoded(&outcome.result.answer.expect("the call's")), json!(["later", 2, 2]));
}

#[tokio::test]
async fn a_turn_that_fails_changes_nothing() {
    let component = component(CART);
    let app = load(&component).await;
    for (name, args, code) in [
        ("fail", json!([0]), ErrorCode::Exception),
        ("fail", json!([8]), ErrorCode::Exception),
        ("spin", json!([]), ErrorCode::OutOfFuel),
        ("fill", json!([]), ErrorCode::OutOfMemory),
    ] {
        let mut worker = started(&app).await;
        call(&mut worker, "add", json!(["A1", 2])).await;
        call(&mut worker, "set", json!([7])).await;
        worker.commit();
        let heap = worker.heap();
        for _ in 0..2 {
            let error = run(&mut worker, &method(name, &args)).await.expect_err("it fails");
            assert_eq!(error.code(), code, "{name} {args}: {error}");
            assert_eq!(worker.commit().pages().len(), 0, "{name} {args}");
            assert!(worker.heap() == heap, "{name} {args}");
            assert_eq!(call(&mut worker, "state", json!([])).await, json!([1, 7, 1]), "{name} {args}");
            worker.undo();
        }
        assert_eq!(call(&mut worker, "secret", json!([])).await, 2, "{name} {args}");
        assert_eq!(call(&mut worker, "list", json!([])).await, json!([["A1", "A1", 4, true]]), "{name} {args}");
    }
}

#[tokio::test]
async fn heaps_of_another_version_and_damaged_ones_are_refused() {
    let app = load(&component(CART)).await;
    let worker = started(&app).await;
    let other = load(&component(&CART.replace("* 2", "* 3"))).await;
    let error = other.restore_worker(&worker.heap()).expect_err("it is of another version");
    assert_eq!(error.code(), ErrorCode::HeapMismatch);
    let mut bytes = worker.heap().to_bytes().expect("bytes");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let error = WorkerHeap::from_bytes(&bytes, limits().memory_bytes).expect_err("a bit was flipped");
    assert_eq!(error.code(), ErrorCode::HeapDamaged);
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[tokio::test]
async fn a_turn_that_changes_one_number_writes_16_kilobytes_at_most_and_thousands_do_not_grow_the_heap() {
    let component = component(CART);
    let mut worker = started(&load(&component).await).await;
    let mut early = (0, 0);
    for number in 0..10_000 {
        call(&mut worker, "set", json!([number])).await;
        let change = worker.commit();
        if number == 5_000 {
            early = (worker.heap().pages().len(), worker.heap().memory_bytes());
        }
        if number >= 100 {
            let pages: Vec<u32> = change.pages().collect();
            let written = change.to_bytes().expect("bytes").len();
            assert!(written <= 16 << 10, "turn {number}: {written} bytes of {pages:?}");
        }
    }
    let late = (worker.heap().pages().len(), worker.heap().memory_bytes());
    // What turns free is used again only after some thousand turns, until which the allocator takes a few more pages.
    assert!(late.0 <= early.0 + 16 && late.1 == early.1, "{early:?}, and 5,000 turns later {late:?}");
    assert!(worker.bytes() >= (late.0 * WorkerHeap::PAGE_BYTES) as u64);
}

#[tokio::test]
async fn random_numbers_are_not_those_of_another_that_began_with_the_same_heap() {
    let component = component(CART);
    let app = load(&component).await;
    let mut worker = started(&app).await;
    // The generator is seeded, and its state in the heap.
    call(&mut worker, "random", json!([])).await;
    worker.commit();
    let mut drawn = BTreeSet::new();
    for _ in 0..3 {
        let mut restored = app.restore_worker(&worker.heap()).expect("it is of this application");
        for value in call(&mut restored, "random", json!([])).await.as_array().expect("a list") {
            assert!(drawn.insert(value.to_string()), "{value} was drawn before");
        }
    }
    // Neither does one whose turn was undone.
    for value in call(&mut worker, "random", json!([])).await.as_array().expect("a list") {
        assert!(drawn.insert(value.to_string()), "{value} was drawn before");
    }
    worker.undo();
    for value in call(&mut worker, "random", json!([])).await.as_array().expect("a list") {
        assert!(drawn.insert(value.to_string()), "{value} was drawn before");
    }
}

#[tokio::test]
async fn the_time_is_that_of_the_turn_and_not_of_the_heap() {
    let component = component(CART);
    let mut worker = started(&load(&component).await).await;
    for _ in 0..2 {
        let before = now();
        let today = call(&mut worker, "today", json!([])).await.as_u64().expect("a number");
        assert!((before..=now()).contains(&today), "{before} {today}");
        worker.commit();
        worker = moved(worker, &component).await;
    }
}

#[tokio::test]
async fn a_worker_that_moves_each_turn_answers_as_one_that_stays() {
    let component = component(CART);
    let app = load(&component).await;
    let (mut stays, mut moves) = (started(&app).await, started(&app).await);
    for round in 0..8 {
        for (name, args) in [
            ("add", json!([format!("A{}", round % 5), round])),
            ("step", json!([])),
            ("mark", json!(["m"])),
            ("list", json!([])),
        ] {
            let answer = call(&mut stays, name, args.clone()).await;
            assert_eq!(call(&mut moves, name, args).await, answer, "{name} in round {round}");
            stays.commit();
            moves.commit();
            moves = app.restore_worker(&moves.heap()).expect("it is of this application");
        }
        assert_eq!(moves.heap().memory_bytes(), stays.heap().memory_bytes());
    }
}
