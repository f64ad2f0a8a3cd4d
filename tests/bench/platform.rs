//! The costs of a platform over `elias serve` with one component, and what clients notice of swaps, rollbacks,
//! canaries, bad neighbours and shadows.

use crate::admin::{Platform, host};
use crate::http_load::{Load, load, load_of};
use crate::report::Report;
use crate::server::Server;
use elias_tests::build::{Project, component};
use serde_json::json;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const ROLLBACKS: usize = 11;
const SWAP_EVERY: Duration = Duration::from_millis(50);
/// Long enough for 1,000 swaps.
const SWAP_SECONDS: u32 = 52;
const CANARY_SECONDS: u32 = 10;

pub(crate) fn run(report: &mut Report) {
    if Command::new("wrk").arg("-v").output().is_err() {
        report.row("platform", "not measured: wrk is missing", "", None);
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let platform = Platform::start(folder.path());
    overhead(&platform, report);
    swaps(&platform, report);
    rollbacks(&platform, report);
    canary(&platform, report);
    neighbours(&platform, report);
    shadows(&platform, report);
}

/// A component that responds with a text.
pub(crate) fn source(text: &str) -> Vec<u8> {
    component(&format!("export default {{ fetch: () => new Response('{text}\\n') }};"))
}

/// CPU of the server process for each request: alone, behind a gateway without a rule, with rules and records.
fn overhead(platform: &Platform, report: &mut Report) {
    let hello = source("Hello, world!");
    let project = Project::new(&[]);
    project.write("hello.wasm", &hello);
    let bare = Server::elias(&[project.path("hello.wasm").to_str().expect("UTF-8")]);

    let rules = json!({ "gateway": {
        "auth": { "api-key": { "header": "x-api-key" } },
        "rate-limit": { "requests": 1_000_000, "per-seconds": 1, "by": "identity" },
    } });
    for (name, settings) in [("plain", json!({})), ("ruled", rules)] {
        platform.serve(name, &hello, &settings);
    }
    let new = json!({ "name": "bench", "role": "caller", "days": 1 });
    let token = platform.ask("POST", "/tokens", &new).expect("it is made").json();
    let key = format!("x-api-key: {}", token["secret"].as_str().expect("the token"));
    let (plain, ruled) = (of("plain"), of("ruled"));

    // The best of three, since the machine is shared.
    let mut best = [f64::MAX; 3];
    for _ in 0..ROUNDS {
        let loads = [
            load(&bare, 16),
            load_of(&platform.server, 16, 3, &[&plain]),
            load_of(&platform.server, 16, 3, &[&ruled, &key]),
        ];
        for (best, load) in best.iter_mut().zip(loads) {
            assert_eq!(load.failed, 0, "{load}");
            *best = best.min(load.cpu_microseconds);
        }
    }
    let [bare, plain, ruled] = best;
    for (what, cpu) in [
        ("gateway without a rule, executions recorded", plain),
        ("gateway with API key and rate limit, executions recorded", ruled),
    ] {
        let more = cpu - bare;
        report.row(
            &format!("platform, hello, {what}: CPU a request over bare `elias serve`"),
            &format!("{more:+.1} us ({cpu:.1} us, bare {bare:.1} us)"),
            "30 us",
            Some(more <= 30.0),
        );
    }
}

/// The header that a load for a component of the tenant `default` has.
pub(crate) fn of(component: &str) -> String {
    format!("Host: {}", host("default", component)) // with this case wrk leaves its own out
}

/// Two versions of a component, of which the first serves.
fn two_versions(platform: &Platform, name: &str) {
    for text in ["version 1.", "version 2."] {
        let digest = platform.upload(&source(text));
        platform.version(name, &digest, &json!({})).expect("it is accepted");
    }
    platform.deploy(name, 1).expect("it serves");
}

fn swaps(platform: &Platform, report: &mut Report) {
    two_versions(platform, "swapped");
    let swapped = of("swapped");
    let run = || load_of(&platform.server, 64, SWAP_SECONDS, &[&swapped]);
    load_of(&platform.server, 64, 1, &[&swapped]); // both are warm
    let without = run();
    let stop = AtomicBool::new(false);
    let (with, swaps) = std::thread::scope(|scope| {
        let swapping = scope.spawn(|| swap_until(platform, &stop));
        let with = run();
        stop.store(true, Ordering::Relaxed);
        (with, swapping.join().expect("every swap goes well"))
    });
    let ratio = with.p99_microseconds() / without.p99_microseconds();
    let every = f64::from(SWAP_SECONDS) * 1e3 / f64::from(swaps);
    report.row(
        &format!("platform, hello, 64 connections: p99 with a swap every {every:.0} ms against p99 without"),
        &format!("{ratio:.2}x ({} against {}; {swaps} swaps)", with.p99, without.p99),
        "1.5x, every 50 ms",
        Some(ratio <= 1.5),
    );
    let Load { requests, failed, .. } = with;
    let what = "requests that failed during these swaps";
    report.row(what, &format!("{failed} of {requests}"), "0", Some(failed == 0));
}

fn swap_until(platform: &Platform, stop: &AtomicBool) -> u32 {
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        let next = Instant::now() + SWAP_EVERY;
        platform.deploy("swapped", if swaps % 2 == 0 { 2 } else { 1 }).expect("it serves");
        swaps += 1;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    swaps
}

fn rollbacks(platform: &Platform, report: &mut Report) {
    two_versions(platform, "rolled");
    let wait_for = |text| {
        while !platform.get("rolled").expect("it answers").says(text) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let mut times = Vec::new();
    for _ in 0..ROLLBACKS {
        platform.deploy("rolled", 2).expect("it serves");
        wait_for("version 2.");
        let started = Instant::now();
        platform.rollback("rolled", 1).expect("it serves");
        wait_for("version 1.");
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let (median, most) = (times[ROLLBACKS / 2], times[ROLLBACKS - 1]);
    report.row(
        "platform: request to roll back to the first response of the former version, p50",
        &format!("{median:.0} ms, at most {most:.0} ms of {ROLLBACKS}"),
        "200 ms",
        Some(most < 200.0),
    );
}

/// A canary that fails 20 % of its requests, under load.
fn canary(platform: &Platform, report: &mut Report) {
    let fails = "export default { fetch() { if (Math.random() < 0.2) throw new Error('it fails'); \
                 return new Response('two\\n'); } };";
    for bytes in [source("one"), component(fails)] {
        let digest = platform.upload(&bytes);
        platform.version("canary", &digest, &json!({ "smoke": { "path": "" } })).expect("it is accepted");
    }
    platform.deploy("canary", 1).expect("it serves");
    let deployment = json!({ "version": 2, "rollout": { "steps": [10.0, 50.0, 100.0], "every-ms": 5_000 } });
    let path = "/components/canary/environments/production/deployments";
    platform.ask("POST", path, &deployment).expect("it is a canary").json();
    let load = load_of(&platform.server, 64, CANARY_SECONDS, &[&of("canary")]);
    let latest = platform.ask("GET", path, &json!(null)).expect("they are listed").json()["items"][0].clone();
    let share = load.failed as f64 / load.requests.max(1) as f64 * 100.0;
    report.row(
        &format!(
            "platform, hello, 64 connections for {CANARY_SECONDS} s: requests that a canary failed of which each \
             fifth fails"
        ),
        &format!(
            "{} of {} ({share:.3} %), then {}",
            load.failed,
            load.requests,
            latest["state"].as_str().unwrap_or_default()
        ),
        "1 %, rolled-back",
        Some(share < 1.0 && latest["state"] == "rolled-back"),
    );
}

/// The effect on a component of another one that spins until it is ended.
fn neighbours(platform: &Platform, report: &mut Report) {
    for (name, bytes) in [("calm", source("calm")), ("spins", component("export default { fetch() { for (;;); } };"))] {
        let settings = json!({ "smoke": { "path": "" }, "limits": { "fuel": 50_000_000 } });
        platform.serve(name, &bytes, &settings);
    }
    let (calm, spins) = (of("calm"), of("spins"));
    load_of(&platform.server, 16, 1, &[&calm]);
    let alone = load_of(&platform.server, 16, 10, &[&calm]);
    let beside = std::thread::scope(|scope| {
        let spinning = scope.spawn(|| load_of(&platform.server, 16, 12, &[&spins]));
        let beside = load_of(&platform.server, 16, 10, &[&calm]);
        spinning.join().expect("wrk ends");
        beside
    });
    let ratio = beside.p99_microseconds() / alone.p99_microseconds();
    report.row(
        "platform, hello, 16 connections: p99 beside a component that 16 connections have spin against p99 alone",
        &format!("{ratio:.2}x ({} against {}), {} failed", beside.p99, alone.p99, beside.failed),
        "2x, 0 failed",
        Some(ratio <= 2.0 && beside.failed == 0),
    );
}

/// The effect on clients of a variant that gets every request mirrored.
fn shadows(platform: &Platform, report: &mut Report) {
    two_versions(platform, "shadowed");
    let shadowed = of("shadowed");
    load_of(&platform.server, 8, 1, &[&shadowed]);
    let without = load_of(&platform.server, 8, 10, &[&shadowed]);
    let plan = json!({ "implementations": [
        { "name": "stage1", "version": 1, "weight": 1 }, { "name": "stage2", "version": 2, "shadow": 100 },
    ] });
    platform
        .ask("PUT", "/components/shadowed/environments/production/stages", &plan)
        .expect("they are compared")
        .json();
    let with = load_of(&platform.server, 8, 10, &[&shadowed]);
    let ratio = with.p99_microseconds() / without.p99_microseconds();
    report.row(
        "platform, hello, 8 connections: p99 with a shadow that gets copies against p99 without",
        &format!("{ratio:.2}x ({} against {}), {} failed", with.p99, without.p99, with.failed),
        "",
        None,
    );
}
