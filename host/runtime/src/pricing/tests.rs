//! Guests that call functions of the host over and over, written by hand: what they pay, and that they let others run.

use super::INLINE_UNITS_MAX;
use super::times::thread_time;
use crate::capability::{Capability, ComponentInfo, ConfigureError, InstanceInfo, InstanceState};
use crate::pricing::{HostLinker, List, Price, size};
use crate::{App, CallOutput, Error, ErrorCode, Grants, Host, Limits, LoadOptions};
use serde_json::{Value, json};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wasmtime::StoreContextMut;

const INTERVAL: u64 = 1_000_000;

/// A component whose `call` does `body` so often, with `$n` counting, and answers with its input. `imports` are
/// component imports, `lowered` core functions of them, and `core` their core imports.
fn component(imports: &str, lowered: &str, core: &str, with: &str, times: u32, body: &str) -> Vec<u8> {
    let text = format!(
        r#"
(component
  {imports}
  (core module $memory
    (memory (export "memory") 64)
    (global $calls (mut i32) (i32.const 0))
    ;; The input, and behind it whatever else the host gives, over and over.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (select (i32.const 1024) (i32.const 65536) (i32.eq (global.get $calls) (i32.const 1)))))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (alias core export $memory "realloc" (core func $realloc))
  {lowered}
  (core module $main
    (import "" "memory" (memory 1))
    {core}
    (func (export "call") (param i32 i32) (result i32) (local $n i32)
      (loop $again
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        {body}
        (br_if $again (i32.lt_u (local.get $n) (i32.const {times}))))
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (local.get 0))
      (i32.store (i32.const 24) (local.get 1))
      (i32.const 16)))
  (core instance $main (instantiate $main (with "" (instance (export "memory" (memory $bytes)) {with}))))
  (type $exception (record (field "name" string) (field "message" string) (field "stack" string)))
  (func $call (param "input" string) (result (result string (error $exception)))
    (canon lift (core func $main "call") (memory $bytes) (realloc $realloc)))
  (component $interface
    (type $record (record (field "name" string) (field "message" string) (field "stack" string)))
    (import "import-exception" (type $imported (eq $record)))
    (import "import-call" (func $call (param "input" string) (result (result string (error $imported)))))
    (export $exception "exception" (type $imported))
    (export "call" (func $call) (func (param "input" string) (result (result string (error $exception))))))
  (instance $interface (instantiate $interface
    (with "import-exception" (type $exception)) (with "import-call" (func $call))))
  (export "elias:component/call@0.1.0" (instance $interface)))
"#
    );
    wat::parse_str(text).expect("valid text")
}

/// Asks for the time so often.
fn clock(times: u32) -> Vec<u8> {
    component(
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))"#,
        r#"(core func $now (canon lower (func $clock "now")))"#,
        r#"(import "" "now" (func $now (result i64)))"#,
        r#"(export "now" (func $now))"#,
        times,
        "(drop (call $now))",
    )
}

/// Asks for so many random bytes so often.
fn random(times: u32, bytes: u64) -> Vec<u8> {
    random_by("random", "get-random-bytes", times, bytes)
}

/// As [`random`], by a function of an interface of `wasi:random`.
fn random_by(interface: &str, function: &str, times: u32, bytes: u64) -> Vec<u8> {
    component(
        &format!(
            r#"(import "wasi:random/{interface}@0.2.3" (instance $random
                 (export "{function}" (func (param "len" u64) (result (list u8))))))"#
        ),
        &format!(r#"(core func $random (canon lower (func $random "{function}") (memory $bytes) (realloc $realloc)))"#),
        r#"(import "" "random" (func $random (param i64 i32)))"#,
        r#"(export "random" (func $random))"#,
        times,
        &format!("(call $random (i64.const {bytes}) (i32.const 32))"),
    )
}

/// Waits for `count` pollables, the same one over and over.
fn poll(count: u32) -> Vec<u8> {
    component(
        r#"(import "wasi:io/poll@0.2.0" (instance $poll
             (export "pollable" (type $pollable (sub resource)))
             (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
           (alias export $poll "pollable" (type $pollable))
           (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
             (alias outer 1 $pollable (type $pollable))
             (export "pollable" (type $p (eq $pollable)))
             (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))"#,
        r#"(core func $after (canon lower (func $clock "subscribe-duration")))
           (core func $poll (canon lower (func $poll "poll") (memory $bytes) (realloc $realloc)))"#,
        r#"(import "" "after" (func $after (param i64) (result i32)))
           (import "" "poll" (func $poll (param i32 i32 i32)))"#,
        r#"(export "after" (func $after)) (export "poll" (func $poll))"#,
        1,
        &format!(
            "(local.set $n (call $after (i64.const 0)))
             (i32.store (i32.const 40) (i32.const 0))
             (loop $fill
               (i32.store (i32.add (i32.const 131072) (i32.load (i32.const 40))) (local.get $n))
               (i32.store (i32.const 40) (i32.add (i32.load (i32.const 40)) (i32.const 4)))
               (br_if $fill (i32.lt_u (i32.load (i32.const 40)) (i32.const {}))))
             (call $poll (i32.const 131072) (i32.const {count}) (i32.const 32))
             (local.set $n (i32.const 1))",
            count * 4
        ),
    )
}

/// Hands over so many bytes.
fn give(bytes: u32) -> Vec<u8> {
    component(
        r#"(import "test:probe/probe@1.0.0" (instance $probe (export "take" (func (param "bytes" (list u8))))))"#,
        r#"(core func $take (canon lower (func $probe "take") (memory $bytes)))"#,
        r#"(import "" "take" (func $take (param i32 i32)))"#,
        r#"(export "take" (func $take))"#,
        1,
        &format!("(drop (memory.grow (i32.const 512))) (call $take (i32.const 0) (i32.const {bytes}))"),
    )
}

async fn load(component: &[u8], fuel: u64) -> App {
    load_on_host(component, fuel).await.1
}

async fn load_on_host(component: &[u8], fuel: u64) -> (Host, App) {
    let limits = Limits { fuel, fuel_yield_interval: INTERVAL, ..Limits::default() };
    let host = Host::builder().limits(limits).instances(2).capability(Probe).build().expect("a host");
    let grants = Grants::none().with("probe", json!({}));
    let app = host.load_with(component, &LoadOptions { grants, ..LoadOptions::default() }).await.expect("it loads");
    (host, app)
}

/// Runs a component to its end by hand; what came of it, and how often it let others run before.
async fn run(component: &[u8], fuel: u64) -> (Result<CallOutput, Error>, u64) {
    let app = load(component, fuel).await;
    let input = Value::from("x");
    let mut call = pin!(app.call(&input));
    let mut yields = 0;
    loop {
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => return (ended, yields),
            Poll::Pending => yields += 1,
        }
        tokio::task::yield_now().await;
    }
}

async fn cost(component: &[u8]) -> u64 {
    run(component, 1_000_000_000).await.0.expect("it can pay").execution.fuel
}

#[tokio::test]
async fn a_guest_that_calls_the_host_over_and_over_lets_others_run() {
    for (what, component) in [
        ("many small calls", clock(100_000)),
        ("calls of a part of an interval", random(500, 8_000)),
        ("calls of an interval and more", random(100, 65_536)),
    ] {
        let (answer, yields) = run(&component, 1_000_000_000).await;
        let fuel = answer.expect("it can pay").execution.fuel;
        assert!(fuel > 50 * INTERVAL, "{what}: {fuel} units are not enough for a test");
        let intervals = fuel / INTERVAL;
        assert!(yields >= intervals / 2, "{what}: {yields} yields in {intervals} intervals");
        assert!(yields <= intervals * 2, "{what}: {yields} yields in {intervals} intervals");
    }
}

#[tokio::test]
async fn twice_the_bytes_cost_twice_as_much() {
    let once = cost(&random(100, 16_000)).await - cost(&random(100, 0)).await;
    let twice = cost(&random(100, 32_000)).await - cost(&random(100, 0)).await;
    assert!(twice.abs_diff(2 * once) < once / 100, "{once} {twice}");
    let once = cost(&clock(10_000)).await;
    let twice = cost(&clock(20_000)).await;
    assert!(twice.abs_diff(2 * once) < once / 100, "{once} {twice}");
}

/// CPU time of this thread for a unit of fuel, in nanoseconds, while a component runs: the least of some runs, since
/// what else a machine does only adds to it.
async fn time_of_unit(component: &[u8]) -> f64 {
    let app = load(component, 10_000_000_000).await;
    let mut least = f64::INFINITY;
    for _ in 0..10 {
        let began = thread_time();
        let fuel = app.call(&Value::from("x")).await.expect("it can pay").execution.fuel;
        least = least.min(thread_time().saturating_sub(began).as_secs_f64() * 1e9 / fuel as f64);
    }
    least
}

#[tokio::test]
async fn what_is_asked_for_takes_time_as_it_costs() {
    // Of each function three sizes, whose work is more than what is around it.
    let random = |interface, function| [4_000, 16_000, 64_000].map(|bytes| random_by(interface, function, 200, bytes));
    for (what, components) in [
        ("random bytes", random("random", "get-random-bytes")),
        ("insecure random bytes", random("insecure", "get-insecure-random-bytes")),
        ("pollables", [250, 500, 1_000].map(poll)),
        ("bytes of arguments", [1 << 20, 2 << 20, 4 << 20].map(give)),
    ] {
        let mut times = Vec::new();
        for component in &components {
            times.push(time_of_unit(component).await);
        }
        let (least, most) =
            (times.iter().copied().fold(f64::INFINITY, f64::min), times.iter().copied().fold(0.0, f64::max));
        assert!(most <= 8.0 * least, "{what}: nanoseconds of a unit by size: {times:?}");
    }
}

#[tokio::test]
async fn a_guest_that_cannot_pay_ends_before_the_work() {
    for component in [clock(u32::MAX), random(u32::MAX, 65_536)] {
        let error = run(&component, 20_000_000).await.0.expect_err("it cannot pay");
        assert_eq!(error.code(), ErrorCode::OutOfFuel, "{error}");
        assert_eq!(error.execution().expect("it ran").fuel, 20_000_000);
    }
}

#[tokio::test]
async fn a_guest_that_asks_for_too_much_at_once_is_told_of_what() {
    let error = run(&random(1, 65_537), 1_000_000_000).await.0.expect_err("it is over the bound");
    assert_eq!(error.code(), ErrorCode::HostCallTooLarge);
    assert!(error.to_string().contains("wasi:random/random@0.2.12#get-random-bytes"), "{error}");
    assert!(error.to_string().contains("at most 65536"), "{error}");
    run(&random(1, 65_536), 1_000_000_000).await.0.expect("it is the bound");
}

#[tokio::test]
async fn a_list_of_the_same_thing_a_million_times_is_not_lifted() {
    run(&poll(1_000), 1_000_000_000).await.0.expect("it is allowed");
    let error = run(&poll(900_000), 1_000_000_000).await.0.expect_err("it is too long");
    assert_eq!(error.code(), ErrorCode::HostCallTooLarge, "{error}");
}

#[tokio::test]
async fn what_is_handed_over_at_once_is_bounded_and_paid() {
    let once = cost(&give(4 << 20)).await - cost(&give(0)).await;
    assert_eq!(once, 4 << 20, "a unit a byte");
    let error = run(&give((16 << 20) + 1), 1_000_000_000).await.0.expect_err("it is too much");
    assert_eq!(error.code(), ErrorCode::HostCallTooLarge, "{error}");
}

#[tokio::test]
async fn work_that_was_done_before_it_could_be_charged_is_charged_with_the_next_call() {
    let works = |units: u64, times: u32| {
        component(
            r#"(import "test:probe/probe@1.0.0" (instance $probe (export "works" (func (param "units" u64)))))"#,
            r#"(core func $works (canon lower (func $probe "works")))"#,
            r#"(import "" "works" (func $works (param i64)))"#,
            r#"(export "works" (func $works))"#,
            times,
            &format!("(call $works (i64.const {units}))"),
        )
    };
    // Also what the last call did, after which nothing is called.
    for times in [1, 2, 100] {
        let more = cost(&works(500_000, times)).await - cost(&works(0, times)).await;
        assert_eq!(more, u64::from(times) * 500_000);
    }
    let (answer, yields) = run(&works(INTERVAL, 100), 1_000_000_000).await;
    answer.expect("it can pay");
    assert!(yields >= 99, "{yields} yields");
    let error = run(&works(INTERVAL, u32::MAX), 20_000_000).await.0.expect_err("it cannot pay");
    assert_eq!(error.code(), ErrorCode::OutOfFuel, "{error}");
}

#[tokio::test]
async fn calls_that_take_more_than_they_cost_are_seen() {
    let burn = |body: &str| {
        component(
            r#"(import "test:probe/probe@1.0.0" (instance $probe
                 (export "burn" (func (param "units" u64) (param "us" u64)))
                 (export "burn-waiting" (func (param "units" u64) (param "us" u64)))))"#,
            r#"(core func $burn (canon lower (func $probe "burn")))
               (core func $waiting (canon lower (func $probe "burn-waiting")))"#,
            r#"(import "" "burn" (func $burn (param i64 i64))) (import "" "waiting" (func $waiting (param i64 i64)))"#,
            r#"(export "burn" (func $burn)) (export "waiting" (func $waiting))"#,
            1_000,
            body,
        )
    };
    // Those that are dear by their price are all measured; of cheap ones enough that a wrong price shows.
    for (function, body, measured, longest_us) in [
        ("burn", "(call $burn (i64.const 1000000) (i64.const 20))", 1_000..=1_000, 20),
        ("burn", "(call $burn (i64.const 0) (i64.const 200))", 2..=100, 200),
        ("burn-waiting", "(call $waiting (i64.const 1000000) (i64.const 20))", 1_000..=1_000, 40),
        ("burn-waiting", "(call $waiting (i64.const 0) (i64.const 200))", 2..=100, 400),
    ] {
        let (host, app) = load_on_host(&burn(body), 10_000_000_000).await;
        app.call(&Value::from("x")).await.expect("it can pay");
        let name = format!("test:probe/probe@1.0.0#{function}");
        let times = host.functions().iter().find(|known| known.name() == name).expect("it is linked").times();
        assert!(measured.contains(&times.count()), "{body}: {times:?}");
        assert!(times.longest >= Duration::from_micros(longest_us), "{body}: {times:?}");
        let least = Duration::from_micros(longest_us * times.count()).as_secs_f64();
        assert!(times.seconds >= least, "{body}: {times:?}");
        assert_eq!(times.buckets[0].1, 0, "{body}: {times:?}");
    }
}

/// Uses so much of this thread's CPU time.
fn burn(us: u64) {
    let began = thread_time();
    while thread_time() - began < Duration::from_micros(us) {}
}

/// A capability for these tests; what it does not allow is that its functions take too long.
struct Probe;

impl Capability for Probe {
    type Grant = ();
    type Context = ();

    fn name(&self) -> &'static str {
        "probe"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["test:probe/probe"]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        let mut probe = linker.interface("test:probe/probe@1.0.0")?;
        let over = size("things", |(count,): &(u64,)| *count).at_most(2 * INLINE_UNITS_MAX);
        let refused =
            probe.func("long", Price::call().per(1, over), |_: StoreContextMut<'_, InstanceState>, (_,)| Ok(()));
        assert!(refused.expect_err("it can take too long").to_string().contains("func_async"));
        type TakeParameters = (List<u8, { 64 << 20 }>,);
        probe.func("take", Price::call(), |_: StoreContextMut<'_, InstanceState>, _: TakeParameters| Ok(()))?;
        type Burn = (u64, u64);
        let units = || size("units", |(units, _): &Burn| *units).at_most(1_000_000);
        probe.func("burn", Price::call().per(1, units()), |_: StoreContextMut<'_, InstanceState>, (_, us): Burn| {
            burn(us);
            Ok(())
        })?;
        probe.func_async(
            "burn-waiting",
            Price::call().per(1, units()),
            |_: StoreContextMut<'_, InstanceState>, (_, us): Burn| {
                Box::new(async move {
                    burn(us);
                    tokio::task::yield_now().await;
                    burn(us);
                    Ok(())
                })
            },
        )?;
        probe.func("works", Price::call(), |store: StoreContextMut<'_, InstanceState>, (units,): (u64,)| {
            store.data().info().call_meter("probe").works(units);
            Ok(())
        })
    }

    async fn configure(&self, _: &ComponentInfo, _: Option<&Value>) -> Result<(), ConfigureError> {
        Ok(())
    }

    fn prepare(&self, _: &InstanceInfo, _: &Arc<()>) {}
}
