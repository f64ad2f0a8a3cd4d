//! The CPU of `elias serve` under load, by part: samples of `perf`. The server is the shipped one, linked with the
//! names of its functions (`toolchain/setup/bench.sh`), and with its default logging.

mod parts;

use crate::http_load::{build, hello, load, load_of};
use crate::report::Report;
use crate::server::Server;
use elias_tests::build::{Project, root};
use elias_tests::serve::example;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

const CONNECTIONS: u32 = 16;
/// How long `perf` looks, and how long there is load; it begins to look a moment after it is started.
const SAMPLED_SECONDS: u32 = 4;
const LOADED_SECONDS: u32 = 6;

const TITLE: &str = "Where the CPU of `elias serve` goes, by part, in percent (16 connections, with access log)";

pub(crate) fn run(report: &mut Report) {
    let server = root().join("target/bench/elias-serve");
    let is_missing = |program: &str, argument: &str| Command::new(program).arg(argument).output().is_err();
    let reason = if is_missing("perf", "--version") {
        "perf is not there"
    } else if is_missing("wrk", "-v") {
        "wrk is not there"
    } else if !server.is_file() {
        "target/bench/elias-serve is not there"
    } else {
        ""
    };
    if !reason.is_empty() {
        report.row("where the CPU of a request goes, by part", &format!("not measured: {reason}"), "", None);
        return;
    }
    let project = Project::new(&[]);
    let router = build(&project, &example("router-hono").join("src/index.js"), "router.wasm");
    let [hello, router] = [hello(&project), router].map(|component| sample(&server, &component));
    let (hello, router) = match (hello, router) {
        (Ok(hello), Ok(router)) => (hello, router),
        (Err(error), _) | (_, Err(error)) => {
            report.row("where the CPU of a request goes, by part", &format!("not measured: {error}"), "", None);
            return;
        }
    };
    let share = |shares: &BTreeMap<&str, f64>, part: &str| shares.get(part).copied().unwrap_or_default();
    let mut parts: Vec<&str> = hello.keys().chain(router.keys()).copied().collect();
    parts.sort_by(|a, b| share(&hello, b).total_cmp(&share(&hello, a)).then_with(|| a.cmp(b)));
    parts.dedup();
    let row = |part: &str| [part.to_owned(), percent(share(&hello, part)), percent(share(&router, part))];
    let rows: Vec<_> = parts.into_iter().map(row).collect();
    report.table(TITLE, ["part", "hello", "Hono router"], &rows);
}

fn percent(share: f64) -> String {
    format!("{share:.1}")
}

/// The share of each part of the server while it answers with a component.
///
/// # Errors
/// The message of `perf` where it may not look at processes.
fn sample(server: &Path, component: &Path) -> Result<BTreeMap<&'static str, f64>, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let samples = folder.path().join("perf.data");
    let mut command = Command::new(server);
    command.arg("serve").arg(component).args(["--listen", "127.0.0.1:0"]).env_remove("ELIAS_LOG");
    // Lines are discarded after they were written, since only what they cost is of interest.
    let server = Server::start(command.stderr(Stdio::null()));
    load(&server, CONNECTIONS);
    // By the clock, which machines without a performance counter have too.
    let perf = Command::new("perf")
        .args(["record", "-g", "-e", "cpu-clock", "-F", "999", "-p", &server.pid().to_string(), "-o"])
        .arg(&samples)
        .args(["--", "sleep", &SAMPLED_SECONDS.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("perf starts");
    load_of(&server, CONNECTIONS, LOADED_SECONDS, &[]);
    let recorded = perf.wait_with_output().expect("perf ends");
    if !recorded.status.success() {
        let said = String::from_utf8_lossy(&recorded.stderr).into_owned();
        return Err(format!("perf record: {}", said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()));
    }
    let script = Command::new("perf").args(["script", "-F", "comm,ip,sym,dso", "-i"]).arg(&samples).output();
    Ok(parts::shares(&String::from_utf8_lossy(&script.expect("perf starts").stdout)))
}
