//! Workers of a component that is written by hand, and heaps as bytes.

mod format;
mod turn;

use super::{HeapChange, Turn, TurnKind, TurnState, Worker, WorkerHeap};
use crate::{App, CallOptions, Error, ErrorCode, Host, IdleLimits, Limits, LoadOptions, Outcome};
use elias_contract::layout::append_custom_section;
use elias_contract::manifest::{FORMAT, MANIFEST_SECTION};
use serde_json::json;
use wasmparser::{Parser, Payload};

/// What the engine's stack ends with, and the application's data begins with.
const DATA: u32 = 64 << 10;
/// Where the result is written, and the texts that it is made of.
const RESULT: u32 = DATA + 64;
const ANSWER_AT: u32 = DATA + 128;
const ERROR_AT: u32 = DATA + 256;
/// Where a turn's JSON is put.
const INPUT: u32 = 128 << 10;
/// Bytes by which the memory grows in a turn that fills them.
const FILLED: u32 = 2 << 20;
/// The letter says how many turns there were: B for one, and A again after Z.
const ANSWER: &str = r#"{"state":"done","id":"1","answer":"A"}"#;
const ERROR: &str = "Error";

/// A component that counts its turns. The last letter of a turn tells it how to end: see [`end`].
fn component(name: &str) -> Vec<u8> {
    let is = |letter: char| format!("(i32.eq (local.get $command) (i32.const {}))", letter as u32);
    let string = |at: u32, address: u32, bytes: usize| {
        format!(
            "(i32.store (i32.const {at}) (i32.const {address})) (i32.store (i32.const {}) (i32.const {bytes}))",
            at + 4
        )
    };
    let exception: String = (0..3).map(|field| string(RESULT + 4 + 8 * field, ERROR_AT, ERROR.len())).collect();
    let answer = string(RESULT + 4, ANSWER_AT, ANSWER.len());
    let run = |exception: &str| format!(r#"(param "turn" string) (result (result string (error {exception})))"#);
    let record = r#"(record (field "name" string) (field "message" string) (field "stack" string))"#;
    let text = format!(
        r#"
(component
  (core module $engine
    (import "env" "memory" (memory 3))
    (global $stack (mut i32) (i32.const {DATA}))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const {INPUT}))
    (func (export "run") (param $at i32) (param $len i32) (result i32)
      (local $command i32)
      (local $page i32)
      (local.set $command
        (i32.load8_u (i32.sub (i32.add (local.get $at) (local.get $len)) (i32.const 3))))
      (i32.store (i32.const 60000) (i32.sub (i32.const 60000) (i32.load (i32.const 60000))))
      (i32.store (i32.const {DATA}) (i32.add (i32.load (i32.const {DATA})) (i32.const 1)))
      (if (i32.or {grows} {grows_and_throws})
        (then
          (drop (memory.grow (i32.const 1)))
          (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 9))))
      (if {fills}
        (then
          (drop (memory.grow (i32.const {filled_units})))
          (local.set $page (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const {FILLED})))
          (loop $next
            (i32.store8 (local.get $page) (i32.const 9))
            (local.set $page (i32.add (local.get $page) (i32.const 4096)))
            (br_if $next (i32.lt_u (local.get $page) (i32.mul (memory.size) (i32.const 65536)))))))
      (if {traps} (then unreachable))
      (if {spins} (then (loop $again (br $again))))
      (i32.store8 (i32.const {letter})
        (i32.add (i32.const 65) (i32.rem_u (i32.load (i32.const {DATA})) (i32.const 26))))
      (if (i32.or {throws} {grows_and_throws})
        (then (i32.store8 (i32.const {RESULT}) (i32.const 1)) {exception})
        (else (i32.store8 (i32.const {RESULT}) (i32.const 0)) {answer}))
      (i32.const {RESULT})))
  (core module $image
    (memory (export "memory") 3)
    (data (i32.const {ANSWER_AT}) "{data}")
    (data (i32.const {ERROR_AT}) "{ERROR}")
    (data (i32.const {name_at}) "{name}"))
  (core instance $image (instantiate $image))
  (core instance $engine (instantiate $engine (with "env" (instance $image))))
  (alias core export $image "memory" (core memory $bytes))
  (alias core export $engine "realloc" (core func $realloc))
  (type $exception {record})
  (func $run {own_run} (canon lift (core func $engine "run") (memory $bytes) (realloc $realloc)))
  (component $interface
    (type $exception {record})
    (import "import-exception" (type $imported-exception (eq $exception)))
    (import "import-run" (func $run {imported_run}))
    (export $exported-exception "exception" (type $exception))
    (export "run" (func $run) (func {exported_run})))
  (instance $interface (instantiate $interface
    (with "import-exception" (type $exception)) (with "import-run" (func $run))))
  (export "elias:triggers/worker@0.1.0" (instance $interface)))
"#,
        grows = is('G'),
        grows_and_throws = is('g'),
        fills = is('F'),
        filled_units = FILLED >> 16,
        traps = is('t'),
        spins = is('l'),
        throws = is('e'),
        letter = ANSWER_AT + u32::try_from(ANSWER.find('A').expect("it has one")).expect("small"),
        data = ANSWER.replace('"', "\\\""),
        name_at = ERROR_AT + 64,
        own_run = run("$exception"),
        imported_run = run("$imported-exception"),
        exported_run = run("$exported-exception"),
    );
    let mut component = wat::parse_str(text).expect("valid text");
    let engine = Parser::new(0).parse_all(&component).find_map(|payload| match payload.expect("valid") {
        Payload::ModuleSection { unchecked_range, .. } => Some(unchecked_range),
        _ => None,
    });
    let engine = engine.expect("the engine is its first module");
    let manifest = json!({
        "format": FORMAT, "name": "by-hand", "version": "1.0.0", "handlers": [], "imports": [],
        "engine": elias_contract::digest(&component[engine.start as usize..engine.end as usize]),
        "source": elias_contract::digest(b""), "builder": "by hand",
    });
    append_custom_section(&mut component, MANIFEST_SECTION, manifest.to_string().as_bytes());
    component
}

fn host(limits: Limits) -> Host {
    Host::builder().limits(limits).instances(2).idle(IdleLimits::default()).build().expect("a host")
}

/// An application in a host of its own.
async fn app() -> App {
    let limits = Limits { fuel: 5_000_000, fuel_yield_interval: 100_000, ..Limits::default() };
    host(limits).load(&component("one")).await.expect("it loads")
}

/// A turn that ends in this way: `n` normally, `e` with an exception, `t` with a trap, `l` never, `G` normally after it
/// grew the memory, `g` with an exception after that, `F` normally after it grew the memory by [`FILLED`] bytes and
/// wrote to each page of them.
fn end(how: char) -> Turn {
    let kind = TurnKind::Stop { reason: how.to_string().into() };
    Turn { class: "Counter".to_owned(), name: "a".to_owned(), id: "1".to_owned(), now: 0, kind }
}

/// Runs a turn; the letter that it gives.
async fn run(worker: &mut Worker, how: char) -> Result<String, Error> {
    let outcome = worker.turn(&end(how), CallOptions::default()).await?;
    assert_eq!(outcome.result.state, TurnState::Done);
    assert_eq!(outcome.execution.outcome, Outcome::Completed);
    Ok(outcome.result.answer.expect("it has one"))
}

async fn letters(worker: &mut Worker, turns: usize) -> String {
    let mut letters = String::new();
    for _ in 0..turns {
        letters += &run(worker, 'n').await.expect("it ends well");
    }
    letters
}

fn numbers(change: &HeapChange) -> Vec<u32> {
    change.pages().collect()
}

#[tokio::test]
async fn a_turn_finds_what_former_turns_wrote_and_commits_what_it_wrote() {
    let app = app().await;
    assert!(app.handlers().worker);
    let mut worker = app.start_worker().expect("it has workers");
    assert_eq!(worker.heap().pages().len(), 0);
    assert_eq!(letters(&mut worker, 3).await, "BCD");
    let change = worker.commit();
    // The counter with the answer, and the turn's text. The stack's page was written to, and is not part of it.
    assert_eq!(numbers(&change), [DATA / 4096, INPUT / 4096]);
    assert!(worker.commit().pages().len() == 0, "nothing since then");
    assert_eq!(letters(&mut worker, 1).await, "E");
    assert_eq!(numbers(&worker.commit()), [DATA / 4096], "the text of the turn is the same");
    assert_eq!(letters(&mut worker, 1).await, "F");
    worker.undo();
    assert_eq!(letters(&mut worker, 1).await, "F", "the turn was undone");
    worker.undo();
    worker.undo();
    assert_eq!(worker.commit().pages().len(), 0);
}

#[tokio::test]
async fn a_thousand_turns_do_not_grow_a_heap() {
    let app = app().await;
    let mut worker = app.start_worker().expect("it has workers");
    for _ in 0..1_000 {
        letters(&mut worker, 1).await;
        assert!(worker.commit().pages().len() <= 2);
    }
    assert_eq!((worker.heap().pages().len(), worker.heap().memory_bytes()), (2, 3 << 16));
    assert_eq!(letters(&mut worker, 1).await, "N", "1,001 turns are 38 alphabets and 13 letters");
}

#[tokio::test]
async fn a_turn_that_changes_more_than_it_may_is_undone() {
    let app = app().await;
    let mut worker = app.start_worker().expect("it has workers");
    worker.set_turn_bytes_max(4096);
    let error = run(&mut worker, 'n').await.expect_err("it changes two pages");
    assert_eq!(error.code(), ErrorCode::TurnTooLarge);
    assert_eq!(error.execution().expect("it was begun").outcome, Outcome::Failed(ErrorCode::TurnTooLarge));
    assert_eq!(worker.commit().pages().len(), 0);
    worker.set_turn_bytes_max(2 * 4096);
    for (letter, changed) in [("B", 2 * 4096), ("C", 4096)] {
        let outcome = worker.turn(&end('n'), CallOptions::default()).await.expect("it may");
        assert_eq!(outcome.result.answer.as_deref(), Some(letter));
        assert_eq!(outcome.changed_bytes, changed);
        assert_eq!(worker.commit().bytes(), changed);
    }
}

#[tokio::test]
async fn a_turn_that_changes_megabytes_is_kept_undone_and_restored_as_any_other() {
    let host = host(Limits::default());
    let app = host.load(&component("one")).await.expect("it loads");
    let mut worker = app.start_worker().expect("it has workers");
    for letter in ["B", "C", "D"] {
        for is_undone in [true, false] {
            let outcome = worker.turn(&end('F'), CallOptions::default()).await.expect("it ends well");
            assert_eq!(outcome.result.answer.as_deref(), Some(letter));
            assert!(outcome.changed_bytes > u64::from(FILLED));
            if is_undone {
                worker.undo();
            }
        }
        assert!(worker.commit().bytes() > u64::from(FILLED));
    }
    let counts = host.instance_counts();
    assert_eq!((counts.dropped_grown, counts.dropped_written), (3, 0));
    run(&mut worker, 'e').await.expect_err("it throws");
    assert_eq!(host.instance_counts().dropped_written, 1, "three times as much is not undone in place");
    assert_eq!(letters(&mut worker, 1).await, "E");
    assert_eq!(worker.heap().memory_bytes(), (3 << 16) + 3 * u64::from(FILLED));
}

#[tokio::test]
async fn a_turn_that_fails_is_undone() {
    let app = app().await;
    for (how, code) in
        [('e', ErrorCode::Exception), ('g', ErrorCode::Exception), ('t', ErrorCode::Trap), ('l', ErrorCode::OutOfFuel)]
    {
        let mut worker = app.start_worker().expect("it has workers");
        assert_eq!(letters(&mut worker, 2).await, "BC");
        worker.commit();
        let heap = worker.heap();
        for again in 0..3 {
            let error = run(&mut worker, how).await.expect_err("it fails");
            assert_eq!(error.code(), code, "{how}, {again}: {error}");
            let execution = error.execution().expect("it was begun");
            assert_eq!(execution.outcome, Outcome::Failed(code));
            assert!(execution.fuel > 0);
            assert_eq!(worker.commit().pages().len(), 0, "{how}, {again}");
            assert!(worker.heap() == heap, "{how}, {again}");
        }
        assert_eq!(letters(&mut worker, 1).await, "D", "{how}");
        // A turn before it that is not committed yet stays.
        run(&mut worker, how).await.expect_err("it fails");
        assert_eq!(letters(&mut worker, 1).await, "E", "{how}");
        assert_eq!(numbers(&worker.commit()), [DATA / 4096], "{how}: the text of the turn is the same");
    }
}

#[tokio::test]
async fn a_turn_that_is_cancelled_or_that_nobody_waits_for_is_undone() {
    let limits = Limits { fuel: 1 << 50, fuel_yield_interval: 100_000, ..Limits::default() };
    let app = host(limits).load(&component("one")).await.expect("it loads");
    let mut worker = app.start_worker().expect("it has workers");
    assert_eq!(letters(&mut worker, 2).await, "BC");
    let turn = end('l');
    let mut endless = Box::pin(worker.turn(&turn, CallOptions::default()));
    assert!(futures::poll!(&mut endless).is_pending());
    drop(endless);
    assert_eq!(letters(&mut worker, 1).await, "D");
    let options = CallOptions::default();
    options.running.cancel();
    let error = worker.turn(&end('n'), options).await.expect_err("it is cancelled");
    assert_eq!(error.code(), ErrorCode::Cancelled);
    assert_eq!(letters(&mut worker, 1).await, "E");
}

#[tokio::test]
async fn a_heap_goes_on_in_another_host() {
    let mut twin = app().await.start_worker().expect("it has workers");
    let first = app().await;
    let mut worker = first.start_worker().expect("it has workers");
    for worker in [&mut twin, &mut worker] {
        assert_eq!(letters(worker, 2).await, "BC");
        assert_eq!(run(worker, 'G').await.expect("it ends well"), "D");
        worker.commit();
    }
    let bytes = worker.heap().to_bytes().expect("it is compressed");
    drop((worker, first));

    let heap = WorkerHeap::from_bytes(&bytes, 1 << 20).expect("they are a heap");
    assert_eq!(heap.memory_bytes(), 4 << 16);
    assert_eq!(heap.pages().map(|(number, _)| number).max(), Some((4 << 16) / 4096 - 1));
    let second = app().await;
    let mut restored = second.restore_worker(&heap).expect("it is of this application");
    assert!(restored.heap() == heap);
    for worker in [&mut twin, &mut restored] {
        assert_eq!(letters(worker, 2).await, "EF");
        // It has its own length: what is grown now comes after it.
        assert_eq!(run(worker, 'G').await.expect("it ends well"), "G");
        run(worker, 'g').await.expect_err("it throws");
        worker.commit();
        assert_eq!(worker.heap().memory_bytes(), 5 << 16);
    }
    assert!(twin.heap() == restored.heap(), "it cannot be told which of them was never stored");
}

#[tokio::test]
async fn changes_make_the_heap_that_they_came_from() {
    let app = app().await;
    let mut worker = app.start_worker().expect("it has workers");
    let mut stored = worker.heap();
    let mut all: Option<HeapChange> = None;
    for how in ['n', 'G', 'e', 'n', 'g', 'G', 't', 'n'] {
        let _ = run(&mut worker, how).await; // some fail
        let change = worker.commit();
        let read = HeapChange::from_bytes(&change.to_bytes().expect("bytes"), 1 << 20).expect("they are a change");
        assert_eq!((numbers(&read), read.memory_bytes()), (numbers(&change), change.memory_bytes()));
        stored.apply(&read).expect("it is of this application");
        assert!(stored == worker.heap(), "after {how}");
        match &mut all {
            Some(all) => all.merge(read).expect("it is of this application"),
            None => all = Some(read),
        }
    }
    let mut at_once = app.start_worker().expect("it has workers").heap();
    at_once.apply(&all.expect("there are changes")).expect("it is of this application");
    assert!(at_once == stored);
}

#[tokio::test]
async fn a_heap_of_another_application_or_larger_than_the_limit_is_refused() {
    let app = app().await;
    let mut worker = app.start_worker().expect("it has workers");
    run(&mut worker, 'G').await.expect("it ends well");
    let change = worker.commit();
    let other = host(Limits::default()).load(&component("two")).await.expect("it loads");
    let error = other.restore_worker(&worker.heap()).expect_err("it is of another application");
    assert_eq!(error.code(), ErrorCode::HeapMismatch);
    assert!(error.to_string().contains(app.digest()), "{error}");
    let mut heap = other.start_worker().expect("it has workers").heap();
    assert_eq!(heap.apply(&change).expect_err("of another").code(), ErrorCode::HeapMismatch);

    let limits = Some(Limits { memory_bytes: 3 << 16, ..Limits::default() });
    let options = LoadOptions { limits, ..LoadOptions::default() };
    let small = host(Limits::default()).load_with(&component("one"), &options).await.expect("it loads");
    let error = small.restore_worker(&worker.heap()).expect_err("it is too large");
    assert_eq!(error.code(), ErrorCode::OutOfMemory);
}

#[tokio::test]
async fn a_restored_heap_counts_against_the_memory_limit() {
    let limits = Some(Limits { memory_bytes: 4 << 16, ..Limits::default() });
    let options = LoadOptions { limits, ..LoadOptions::default() };
    let load = async || host(Limits::default()).load_with(&component("one"), &options).await.expect("it loads");
    let app = load().await;
    let mut worker = app.start_worker().expect("it has workers");
    run(&mut worker, 'G').await.expect("there is room for one");
    worker.commit();
    let other = load().await;
    for mut worker in [other.restore_worker(&worker.heap()).expect("it is as large as it may be"), worker] {
        let outcome = worker.turn(&end('G'), CallOptions::default()).await.expect("growing gives -1");
        assert_eq!(outcome.execution.memory_peak_bytes, 4 << 16);
        worker.commit();
        assert_eq!(worker.heap().memory_bytes(), 4 << 16);
    }
}

#[tokio::test]
async fn an_awake_worker_is_an_instance_and_one_at_rest_is_its_heap() {
    let host = host(Limits::default());
    let app = host.load(&component("one")).await.expect("it loads");
    let mut workers = [(); 3].map(|()| app.start_worker().expect("it has workers"));
    assert_eq!(host.instance_counts().instances, 0);
    for worker in &mut workers[..2] {
        assert_eq!(letters(worker, 1).await, "B");
        worker.commit();
        assert!(worker.bytes() > 2 * 4096, "its instance has memory");
    }
    assert_eq!(host.instance_counts().instances, 2);
    let error = run(&mut workers[2], 'n').await.expect_err("there is no room");
    assert_eq!(error.code(), ErrorCode::Overloaded);
    // What was not committed is not lost.
    assert_eq!(letters(&mut workers[0], 1).await, "C");
    workers[0].release();
    assert_eq!(workers[0].bytes(), 2 * 4096, "the pages of its heap");
    assert_eq!(letters(&mut workers[2], 1).await, "B");
    workers[1].release();
    assert_eq!(letters(&mut workers[0], 1).await, "D");
    drop(workers);
    let counts = host.instance_counts();
    assert_eq!((counts.instances, counts.idle), (0, 0), "no instance of a worker is another's");
}

#[tokio::test]
async fn components_without_workers_have_none() {
    let text = r#"(component (core module $m (func (export "f"))) (core instance $m (instantiate $m))
        (func $f (canon lift (core func $m "f")))
        (component $i (import "f" (func $f)) (export "run" (func $f)))
        (instance $i (instantiate $i (with "f" (func $f))))
        (export "elias:triggers/worker@0.1.0" (instance $i)))"#;
    let component = wat::parse_str(text).expect("valid text");
    let app = host(Limits::default()).load(&component).await.expect("it loads");
    assert!(app.handlers().worker);
    let error = app.start_worker().expect_err("its memory is not all of its state");
    assert_eq!(error.code(), ErrorCode::MissingExport);
    assert!(error.to_string().contains("elias-build"), "{error}");
}
