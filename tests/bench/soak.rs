//! `make soak`: a platform with many components, and one that is killed again and again. It takes `SOAK_SECONDS` (600),
//! half of them for either; `COMPONENTS` (10,000) are deployed unless the time is over before. The part
//! `soak-components` has the former alone, and deploys all of them.

pub(crate) mod triggers;
pub(crate) mod workers;

use crate::admin::Platform;
use crate::parameters::number_of;
use crate::report::Report;
use elias_tests::build::{Project, binary};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Components that get requests all the time.
const HOT: usize = 100;
/// With how many components a deployment is compared to one with all.
const FEW: usize = 100;
/// Components that are asked once.
const COLD: usize = 50;
/// How long the hot ones are asked.
const HOT_FOR: Duration = Duration::from_secs(20);
/// The most kills, and how many components are deployed to until then.
const KILLS: u64 = 200;
const KILLED_COMPONENTS: usize = 4;

pub(crate) fn run(report: &mut Report) {
    let seconds = Duration::from_secs(number_of("SOAK_SECONDS", 600));
    let started = Instant::now();
    many(report, Some(started + seconds.mul_f64(0.5).saturating_sub(HOT_FOR)));
    kills(report, started + seconds);
}

/// Only the platform with many components, with all of them, however long it takes to deploy them.
pub(crate) fn components(report: &mut Report) {
    many(report, None);
}

/// A component without the engine, which the host has.
fn thin(text: &str) -> Vec<u8> {
    let project = Project::new(&[("index.js", &format!("export default {{ fetch: () => new Response('{text}') }};"))]);
    let output = project.elias_build(&["index.js", "--thin", "-o", "thin.wasm"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(project.path("thin.wasm")).expect("it was written")
}

fn many(report: &mut Report, until: Option<Instant>) {
    let wanted = usize::try_from(number_of("COMPONENTS", 10_000)).expect("fewer");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let platform = Platform::start(folder.path());
    platform.ask("PUT", "", &json!({ "quotas": { "components": wanted.max(1) } })).expect("it is changed").json();
    let digest = platform.upload(&thin("hello"));
    let started = Instant::now();
    let (mut names, mut costs): (Vec<String>, Vec<f64>) = Default::default();
    while names.len() < wanted && until.is_none_or(|until| Instant::now() < until) {
        let began = Instant::now();
        let name = format!("c{}", names.len());
        let settings = json!({ "limits": { "deadline-ms": 10_000 + names.len() } });
        let version = platform.version(&name, &digest, &settings).expect("it is accepted");
        platform.deploy(&name, version).expect("it serves");
        names.push(name);
        costs.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let taken = started.elapsed().as_secs_f64();
    let (count, all) = (names.len(), names.len() == wanted);
    let each = taken * 1e3 / count.max(1) as f64;
    let what = "components deployed, one after another";
    report.row(what, &format!("{count} of {wanted} in {taken:.0} s, {each:.1} ms each"), "all", Some(all));
    if let (Some(first), Some(last)) = (costs.get(FEW - 50..FEW + 50), costs.last_chunk::<FEW>()) {
        let (first, last) = (median(first), median(last));
        let what = format!("a version and its deployment at {count} components against at {FEW}, p50");
        let ratio = last / first;
        report.row(&what, &format!("{ratio:.2}x ({last:.1} ms, {first:.1} ms)"), "1.5x", Some(ratio < 1.5));
    }
    memory(report, &platform, "after that", None);
    drop(platform);

    let started = Instant::now();
    let platform = Platform::start(folder.path());
    let seconds = started.elapsed().as_secs_f64();
    let what = format!("start of a server with {count} components, after kill -9");
    report.row(&what, &format!("{seconds:.2} s"), "5 s", all.then_some(seconds < 5.0));
    memory(report, &platform, "after the start", all.then_some(100.0));
    cold(report, &platform, &names);
    hot(report, &platform, &names);
    memory(report, &platform, "after requests to these", all.then_some(150.0));
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The server's memory, and how many megabytes it may be.
fn memory(report: &mut Report, platform: &Platform, when: &str, most: Option<f64>) {
    let megabytes = platform.server.resident_bytes() as f64 / 1e6;
    let target = most.map(|most| format!("{most:.0} MB")).unwrap_or_default();
    let reached = most.map(|most| megabytes <= most);
    report.row(&format!("resident memory {when}"), &format!("{megabytes:.0} MB"), &target, reached);
}

/// Milliseconds of a request, from the connection to the last byte; none if the answer is not the component's.
fn timed(platform: &Platform, name: &str) -> Option<f64> {
    let started = Instant::now();
    let answer = platform.get(name).ok()?;
    answer.says("hello").then(|| started.elapsed().as_secs_f64() * 1e3)
}

fn cold(report: &mut Report, platform: &Platform, names: &[String]) {
    // The first of all loads the engine too.
    let Some((first, others)) = names.split_last() else { return };
    let first = timed(platform, first).expect("it answers");
    report.row("first request of all after the start", &format!("{first:.1} ms"), "", None);
    let step = (others.len() / COLD).max(1);
    let mut times: Vec<_> =
        others.iter().rev().step_by(step).take(COLD).map(|name| timed(platform, name).expect("it answers")).collect();
    times.sort_by(f64::total_cmp);
    if let (Some(median), Some(most)) = (times.get(times.len() / 2), times.last()) {
        let what = format!("first request to a cold component, p50 of {}", times.len());
        report.row(
            &what,
            &format!("{median:.1} ms, at most {most:.1} ms"),
            "p50 1 ms, at most 50 ms",
            Some(*median <= 1.0 && *most < 50.0),
        );
    }
}

fn hot(report: &mut Report, platform: &Platform, names: &[String]) {
    let hot = &names[..names.len().min(HOT)];
    let (until, mut times, mut failed) = (Instant::now() + HOT_FOR, Vec::new(), 0_u64);
    for name in hot.iter().cycle().take_while(|_| Instant::now() < until) {
        match timed(platform, name) {
            Some(milliseconds) => times.push(milliseconds),
            None => failed += 1,
        }
    }
    times.sort_by(f64::total_cmp);
    if let (Some(median), Some(p99)) = (times.get(times.len() / 2), times.get(times.len() * 99 / 100)) {
        let what = format!("{} hot components, a connection a request", hot.len());
        let measured = format!("{} requests, {failed} failed, p50 {median:.2} ms, p99 {p99:.2} ms", times.len());
        report.row(&what, &measured, "0 failed", Some(failed == 0));
    }
}

/// A component that is deployed to while the server is killed.
struct Target {
    name: String,
    /// The version whose deployment was answered last.
    acknowledged: u64,
    /// The version whose deployment was asked for and not answered.
    tried: Option<u64>,
    /// How many deployments were answered.
    deployments: u64,
}

fn kills(report: &mut Report, until: Instant) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let texts = ["even", "odd"];
    let components = texts.map(thin);
    let digests = {
        let platform = Platform::start(folder.path());
        platform.ask("PUT", "", &json!({ "quotas": { "versions": 0 } })).expect("it is changed").json();
        components.map(|component| platform.upload(&component))
    };
    let new = |number| Target { name: format!("k{number}"), acknowledged: 0, tried: None, deployments: 0 };
    let mut targets: Vec<_> = (0..KILLED_COMPONENTS).map(new).collect();
    let state = folder.path().join("log.checkpoint");
    let (mut kills, mut lost, mut wrong, mut log_faults) = (0, 0, 0, 0);
    while kills < KILLS && Instant::now() < until {
        let platform = Platform::start(folder.path());
        for target in &mut targets {
            match look(&platform, target, &digests, texts) {
                Found::Right => {}
                Found::Lost => lost += 1,
                Found::Wrong => wrong += 1,
            }
        }
        if targets.iter().any(|target| target.acknowledged > 0) {
            log_faults += u64::from(!log_is_consistent(&platform, &state));
        }
        // Between 20 and 519 ms, each as often.
        let life = Duration::from_millis(20 + kills * 137 % 500);
        std::thread::scope(|scope| {
            scope.spawn(|| deploy_until_it_ends(&platform, &mut targets, &digests));
            std::thread::sleep(life);
            let _ = Command::new("kill").args(["-KILL", &platform.server.pid().to_string()]).status();
        });
        kills += 1;
    }
    let deployments: u64 = targets.iter().map(|target| target.deployments).sum();
    let row = |report: &mut Report, what: &str, faults: u64| {
        let what = format!("kill -9, {kills} times during deployments and requests: {what}");
        report.row(&what, &format!("{faults} ({deployments} deployments)"), "0", Some(faults == 0));
    };
    row(report, "acknowledged deployments that were not there after it", lost);
    row(report, "services that did not answer with the version that they had", wrong);
    row(report, "logs that `elias verify` did not find consistent", log_faults);
}

enum Found {
    Right,
    Lost,
    Wrong,
}

/// Whether a component serves what was deployed last, after a start.
fn look(platform: &Platform, target: &mut Target, digests: &[String; 2], texts: [&str; 2]) -> Found {
    let path = format!("/services?component={}", target.name);
    let services = platform.ask("GET", &path, &serde_json::Value::Null).expect("it answers").json();
    let release = &services["items"][0]["release"];
    let Some(serves) = release["version"].as_u64() else {
        return if target.acknowledged == 0 { Found::Right } else { Found::Lost };
    };
    let is_known = serves == target.acknowledged || Some(serves) == target.tried;
    (target.acknowledged, target.tried) = (serves, None);
    if !is_known {
        return Found::Lost;
    }
    let text = digests.iter().zip(texts).find_map(|(digest, text)| (release["digest"] == **digest).then_some(text));
    let answer = platform.get(&target.name).expect("it answers");
    if text.is_some_and(|text| answer.says(text)) { Found::Right } else { Found::Wrong }
}

/// Deploys new versions to each in turn, and has them run, until the server answers no more.
fn deploy_until_it_ends(platform: &Platform, targets: &mut [Target], digests: &[String; 2]) {
    let deploy = |target: &mut Target| -> std::io::Result<()> {
        let digest = &digests[usize::from(target.acknowledged.is_multiple_of(2))];
        let settings = json!({ "limits": { "deadline-ms": 10_000 + target.acknowledged } });
        let version = platform.version(&target.name, digest, &settings)?;
        target.tried = Some(version);
        platform.deploy(&target.name, version)?;
        (target.acknowledged, target.tried) = (version, None);
        target.deployments += 1;
        platform.get(&target.name).map(drop)
    };
    while targets.iter_mut().all(|target| deploy(target).is_ok()) {}
}

/// Whether the log's entries have the signed root, and continue what was seen before.
fn log_is_consistent(platform: &Platform, state: &Path) -> bool {
    let key = platform.log_key().expect("it answers");
    let mut verify = Command::new(binary("elias"));
    verify.args(["verify", "--log", &platform.log_url(), "--log-key", &key, "--state"]).arg(state);
    verify.stdout(Stdio::null()).status().expect("elias starts").success()
}
