//! Components, written by hand, whose handlers of triggers end in each of the ways there are.

use super::{EventBatch, EventMessage, Job, RunOutcome, RunResult, Tick};
use crate::capability::pricing::Price;
use crate::capability::{Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState};
use crate::{App, CallOptions, Error, ErrorCode, Grants, Handlers, Host, Limits, LoadOptions, Outcome};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::StoreContextMut;

/// The contents of the component's memory at 512: the name and the stack of an exception, and a reason.
const DATA: &str = "RangeErrorat xwhy";

/// A component that exports one handler of `trigger`. `body` writes its result, of type `ok` or a failure, at 64; the
/// parameters 0 and 1 are the input's address and length.
fn component(trigger: &str, ok: &str, body: &str) -> Vec<u8> {
    component_with("", trigger, ok, body)
}

/// As [`component`], of a function that is imported from `test:note/note` by this name, `$note` in the body: it takes
/// nothing and gives a number. None for the empty name.
fn component_with(imported: &str, trigger: &str, ok: &str, body: &str) -> Vec<u8> {
    let exception = r#"(record (field "name" string) (field "message" string) (field "stack" string))"#;
    let retry = r#"(record (field "after-ms" (option u64)) (field "reason" string))"#;
    let failure = |exception: &str, retry: &str| {
        format!(
            r#"(variant (case "exception" {exception}) (case "retry" {retry}) (case "reject" string)
                 (case "suspended"))"#
        )
    };
    let run = |failure: &str| format!(r#"(param "input" string) (result (result {ok} (error {failure})))"#);
    let (import, lowered, core_import, with) = match imported {
        "" => Default::default(),
        name => (
            format!(r#"(import "test:note/note@1.0.0" (instance $note (export "{name}" (func (result u32)))))"#),
            format!(r#"(core func $note (canon lower (func $note "{name}")))"#),
            r#"(import "" "note" (func $note (result i32)))"#.to_owned(),
            r#"(with "" (instance (export "note" (func $note))))"#.to_owned(),
        ),
    };
    let text = format!(
        r#"
(component
  {import}
  {lowered}
  (core module $main
    {core_import}
    (memory (export "memory") 1)
    (data (i32.const 512) "{DATA}")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "run") (param i32 i32) (result i32)
      {body}
      (i32.const 64)))
  (core instance $main (instantiate $main {with}))
  (alias core export $main "memory" (core memory $bytes))
  (alias core export $main "realloc" (core func $realloc))
  (type $exception {exception})
  (type $retry {retry})
  (type $failure {own_failure})
  (func $run {own_run}
    (canon lift (core func $main "run") (memory $bytes) (realloc $realloc)))
  (component $interface
    (type $exception {exception})
    (import "import-exception" (type $imported-exception (eq $exception)))
    (type $retry {retry})
    (import "import-retry" (type $imported-retry (eq $retry)))
    (type $failure {imported_failure})
    (import "import-failure" (type $imported-failure (eq $failure)))
    (import "import-run" (func $run {imported_run}))
    (export $exported-exception "exception" (type $exception))
    (export $exported-retry "retry" (type $retry))
    (type $exported {exported_failure})
    (export $exported-failure "failure" (type $exported))
    (export "run" (func $run) (func {exported_run})))
  (instance $interface (instantiate $interface
    (with "import-exception" (type $exception)) (with "import-retry" (type $retry))
    (with "import-failure" (type $failure)) (with "import-run" (func $run))))
  (export "elias:triggers/{trigger}@0.1.0" (instance $interface)))
"#,
        own_failure = failure("$exception", "$retry"),
        own_run = run("$failure"),
        imported_failure = failure("$imported-exception", "$imported-retry"),
        imported_run = run("$imported-failure"),
        exported_failure = failure("$exported-exception", "$exported-retry"),
        exported_run = run("$exported-failure"),
    );
    wat::parse_str(text).expect("valid text")
}

/// An interval at which a guest that never ends lets others run, and enough fuel for longer than any test.
fn limits() -> Limits {
    Limits { fuel: 1 << 50, fuel_yield_interval: 1_000_000, ..Limits::default() }
}

async fn load(trigger: &str, body: &str) -> App {
    let ok = if trigger == "job" { "string" } else { "" };
    let host = Host::builder().limits(limits()).instances(2).build().expect("a host");
    host.load(&component(trigger, ok, body)).await.expect("it loads")
}

fn tick() -> Tick {
    Tick { name: "nightly".to_owned(), scheduled_time: 1_000, late: 5, attempt: 1, input: json!([7]) }
}

fn job() -> Job {
    let (id, name, key) = ("1".to_owned(), "resize".to_owned(), Some("k".to_owned()));
    Job { id, name, input: json!({ "w": 1 }), attempt: 2, key, enqueued_at: 7 }
}

fn event() -> EventMessage {
    let event = json!({ "specversion": "1.0", "id": "e", "type": "order.paid", "source": "/shop", "data": [1] });
    let Value::Object(event) = event else { panic!("it is an object") };
    EventMessage { event, attempt: 1 }
}

/// Runs the one handler that the component has.
async fn run(app: &App, trigger: &str, options: CallOptions) -> Result<RunOutcome, Error> {
    match trigger {
        "schedule" => app.run_schedule(&tick(), options).await,
        "job" => app.run_job(&job(), options).await,
        _ => app.run_event(&event(), options).await,
    }
}

const TRIGGERS: [&str; 3] = ["schedule", "job", "event"];

/// The result is `ok`; of a job, its input.
const DONE: &str = "(i32.store8 (i32.const 64) (i32.const 0))
    (i32.store (i32.const 72) (local.get 0)) (i32.store (i32.const 76) (local.get 1))";

/// Writes a failure of the case of this number, with `payload`.
fn failure(case: u32, payload: &str) -> String {
    format!("(i32.store8 (i32.const 64) (i32.const 1)) (i32.store8 (i32.const 72) (i32.const {case})) {payload}")
}

/// Writes the string of so many bytes from this address on, at `at`.
fn string(at: u32, address: u32, bytes: u32) -> String {
    format!("(i32.store (i32.const {at}) (i32.const {address})) (i32.store (i32.const {}) (i32.const {bytes}))", at + 4)
}

#[tokio::test]
async fn a_handler_that_returns_is_done() {
    for trigger in TRIGGERS {
        let app = load(trigger, DONE).await;
        let outcome = run(&app, trigger, CallOptions::default()).await.expect("it is done");
        let value = if trigger == "job" { serde_json::to_value(job()).expect("JSON") } else { Value::Null };
        assert_eq!(outcome.result, RunResult::Done(value), "{trigger}");
        assert_eq!(outcome.execution.outcome, Outcome::Completed, "{trigger}");
        assert!(outcome.execution.fuel > 0, "{trigger}");
    }
    let message =
        json!({ "id": "1", "name": "resize", "input": { "w": 1 }, "attempt": 2, "key": "k", "enqueuedAt": 7 });
    assert_eq!(serde_json::to_value(job()).expect("JSON"), message);
}

#[tokio::test]
async fn an_exception_is_an_error_as_of_a_call() {
    // Its message is the input.
    let payload = [string(80, 512, 10), string(96, 522, 4)].concat()
        + "(i32.store (i32.const 88) (local.get 0)) (i32.store (i32.const 92) (local.get 1))";
    for trigger in TRIGGERS {
        let app = load(trigger, &failure(0, &payload)).await;
        let error = run(&app, trigger, CallOptions::default()).await.expect_err("it has thrown");
        assert_eq!(error.code(), ErrorCode::Exception, "{trigger}: {error}");
        let exception = error.exception().expect("there is one");
        assert_eq!((exception.name.as_str(), exception.stack.as_str()), ("RangeError", "at x"), "{trigger}");
        let message: Value = serde_json::from_str(&exception.message).expect("the input");
        let given = match trigger {
            "schedule" => json!({ "name": "nightly", "scheduledTime": 1_000, "late": 5, "attempt": 1,
                                 "input": [7] }),
            "job" => serde_json::to_value(job()).expect("JSON"),
            _ => json!({ "specversion": "1.0", "id": "e", "type": "order.paid", "source": "/shop", "data": [1],
                         "attempt": 1 }),
        };
        assert_eq!(message, given, "{trigger}");
        let execution = error.execution().expect("it ran");
        assert_eq!(execution.outcome, Outcome::Failed(ErrorCode::Exception), "{trigger}");
    }
}

#[tokio::test]
async fn a_handler_can_ask_for_another_attempt() {
    let reason = string(96, 526, 3);
    let after = "(i32.store8 (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (i64.const 1500))";
    for trigger in TRIGGERS {
        for (payload, after) in [(reason.clone(), None), (format!("{after} {reason}"), Some(1_500))] {
            let app = load(trigger, &failure(1, &payload)).await;
            let outcome = run(&app, trigger, CallOptions::default()).await.expect("it returned");
            let after = after.map(Duration::from_millis);
            assert_eq!(outcome.result, RunResult::Retry { after, reason: "why".to_owned() }, "{trigger}");
            assert_eq!(outcome.execution.outcome, Outcome::Completed, "{trigger}");
        }
    }
}

#[tokio::test]
async fn a_handler_can_reject_and_can_wait() {
    for trigger in TRIGGERS {
        let app = load(trigger, &failure(2, &string(80, 526, 3))).await;
        let outcome = run(&app, trigger, CallOptions::default()).await.expect("it returned");
        assert_eq!(outcome.result, RunResult::Reject { reason: "why".to_owned() }, "{trigger}");
        let app = load(trigger, &failure(3, "")).await;
        let outcome = run(&app, trigger, CallOptions::default()).await.expect("it returned");
        assert_eq!(outcome.result, RunResult::Suspended, "{trigger}");
    }
}

#[tokio::test]
async fn a_reason_is_cut() {
    // A page of the memory, whose bytes are mostly zero.
    let app = load("job", &format!("(drop (memory.grow (i32.const 1))) {}", failure(2, &string(80, 0, 70_000)))).await;
    let outcome = run(&app, "job", CallOptions::default()).await.expect("it returned");
    let RunResult::Reject { reason } = outcome.result else { panic!("it was rejected: {:?}", outcome.result) };
    assert_eq!(reason.len(), 64 << 10);
}

#[tokio::test]
async fn a_run_ends_with_its_own_deadline_or_that_of_the_component() {
    for trigger in TRIGGERS {
        let app = load(trigger, "(loop $on (br $on))").await;
        let options = CallOptions { deadline: Some(Duration::from_millis(20)), ..CallOptions::default() };
        let error = run(&app, trigger, options).await.expect_err("it does not end");
        assert_eq!(error.code(), ErrorCode::Deadline, "{trigger}: {error}");
        assert!(error.to_string().contains("within 20 ms"), "{trigger}: {error}");
        assert!(error.execution().expect("it ran").fuel > 0, "{trigger}");
    }
    let host = Host::builder().limits(Limits { deadline_ms: 20, ..limits() }).instances(1).build().expect("a host");
    let app = host.load(&component("job", "string", "(loop $on (br $on))")).await.expect("it loads");
    let error = run(&app, "job", CallOptions::default()).await.expect_err("it does not end");
    assert!(error.to_string().contains("within 20 ms"), "{error}");
}

#[tokio::test]
async fn a_run_can_be_cancelled_and_has_the_id_of_its_handle() {
    for trigger in TRIGGERS {
        let app = load(trigger, DONE).await;
        let options = CallOptions::default();
        let outcome = run(&app, trigger, options.clone()).await.expect("it is done");
        assert_eq!(outcome.execution.id, options.running.id(), "{trigger}");
        let options = CallOptions::default();
        options.running.cancel();
        let error = run(&app, trigger, options).await.expect_err("it was cancelled");
        assert_eq!(error.code(), ErrorCode::Cancelled, "{trigger}: {error}");
    }
}

#[tokio::test]
async fn what_a_job_gives_and_gets_is_bounded_and_json() {
    let app = load("job", &format!("{DONE} (i32.store (i32.const 76) (i32.const 1))")).await;
    let error = run(&app, "job", CallOptions::default()).await.expect_err("it is not JSON");
    assert_eq!(error.code(), ErrorCode::Trap, "{error}");
    for (limits, code) in [
        (Limits { response_bytes: 10, ..limits() }, ErrorCode::ResponseTooLarge),
        (Limits { request_bytes: 10, ..limits() }, ErrorCode::RequestTooLarge),
    ] {
        let host = Host::builder().limits(limits).instances(1).build().expect("a host");
        let app = host.load(&component("job", "string", DONE)).await.expect("it loads");
        let error = run(&app, "job", CallOptions::default()).await.expect_err("it is too large");
        assert_eq!(error.code(), code, "{error}");
    }
}

#[tokio::test]
async fn a_batch_has_a_result_as_a_job_has() {
    let host = Host::builder().limits(limits()).instances(2).build().expect("a host");
    let app = host.load(&component("events", "string", DONE)).await.expect("it loads");
    assert_eq!(app.handlers(), Handlers { events: true, ..Handlers::default() });
    let batch = EventBatch { subscription: "orders".to_owned(), events: vec![event(), event()] };
    let outcome = app.run_events(&batch, CallOptions::default()).await.expect("it is done");
    assert_eq!(outcome.result, RunResult::Done(serde_json::to_value(&batch).expect("JSON")), "the result is the input");
    let error = app.run_event(&event(), CallOptions::default()).await.expect_err("it has no such handler");
    assert_eq!(error.code(), ErrorCode::MissingExport, "{error}");
}

#[tokio::test]
async fn a_component_has_the_handlers_that_it_exports() {
    for (trigger, handlers) in [
        ("schedule", Handlers { scheduled: true, ..Handlers::default() }),
        ("job", Handlers { job: true, ..Handlers::default() }),
        ("event", Handlers { event: true, ..Handlers::default() }),
    ] {
        let app = load(trigger, DONE).await;
        assert_eq!(app.handlers(), handlers);
        for other in TRIGGERS.iter().filter(|other| **other != trigger) {
            let error = run(&app, other, CallOptions::default()).await.expect_err("it has no such handler");
            assert_eq!(error.code(), ErrorCode::MissingExport, "{other} of {trigger}: {error}");
        }
        let error = app.call(&Value::Null).await.expect_err("it has no such handler");
        assert_eq!(error.code(), ErrorCode::MissingExport, "{error}");
    }
}

/// The options of an execution beside its message.
#[derive(Clone)]
struct Note(u32);

/// A capability that gives components the note of their execution.
struct Notes;

impl Capability for Notes {
    type Grant = ();
    type Context = u32;

    fn name(&self) -> &'static str {
        "note"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["test:note/note"]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        let mut note = linker.interface("test:note/note@1.0.0")?;
        note.func("number", Price::call(), |mut store: StoreContextMut<'_, InstanceState>, (): ()| {
            Ok((*store.data_mut().context::<Self>(),))
        })
    }

    async fn configure(&self, _: &ComponentInfo, _: Option<&Value>) -> Result<(), ConfigureError> {
        Ok(())
    }

    fn prepare(&self, instance: &InstanceInfo, _: &Arc<()>) -> u32 {
        instance.extension::<Note>().map_or(0, |note| note.0)
    }
}

#[tokio::test]
async fn capabilities_are_told_what_was_given_for_the_execution_alone() {
    // The result is a digit, at 600.
    let body = "(i32.store8 (i32.const 600) (i32.add (call $note) (i32.const 48)))
        (i32.store8 (i32.const 64) (i32.const 0))
        (i32.store (i32.const 72) (i32.const 600)) (i32.store (i32.const 76) (i32.const 1))";
    let host = Host::builder().limits(limits()).instances(1).capability(Notes).build().expect("a host");
    let options = LoadOptions { grants: Grants::none().with("note", json!({})), ..LoadOptions::default() };
    let app = host.load_with(&component_with("number", "job", "string", body), &options).await.expect("it loads");
    for note in [7, 0, 3] {
        let mut options = CallOptions::default();
        if note > 0 {
            options.extensions.insert(Note(note));
        }
        let outcome = run(&app, "job", options).await.expect("it is done");
        assert_eq!(outcome.result, RunResult::Done(json!(note)));
    }
}
