//! Requests a second over HTTP, beside rivals in the same run. The load comes from `wrk`, on the same cores.

use crate::report::Report;
use crate::server::Server;
use elias_tests::build::{Project, component, root};
use elias_tests::serve::example;
use std::path::{Path, PathBuf};
use std::process::Command;

const HELLO: &str = "export default { fetch: () => new Response('Hello, world!\\n') };";

pub(crate) fn run(report: &mut Report) {
    if !can_load("over HTTP", report) {
        return;
    }
    let project = Project::new(&[]);
    let router = example("router-hono").join("src/index.js");
    for (what, component, node, worker) in [
        ("hello", hello(&project), "node-hello.mjs", HELLO.to_owned()),
        ("Hono router", build(&project, &router, "router.wasm"), "node-hono.mjs", worker(&router)),
    ] {
        let servers = Servers::start(&project, &component, node, &worker);
        for connections in [1, 16, 256] {
            let case = format!("{what}, {connections} connections");
            let [node, workerd, elias] = servers.compare(&case, report, |server| load(server, connections));
            report.row(
                &format!("`elias serve`: {case}"),
                &elias.beside(&node),
                "workerd's throughput; 0.5x Node (aim)",
                Some(elias.per_second >= workerd.per_second),
            );
        }
        system_calls(what, &servers.elias, report);
    }
}

/// The part `json`: a POST of a JSON body of 2 KB, which zod checks, beside rivals.
pub(crate) fn json(report: &mut Report) {
    if !can_load("a JSON body over HTTP", report) {
        return;
    }
    let project = Project::new(&[]);
    let (entry, script) = (rivals().join("json.js"), rivals().join("post-json.lua"));
    let servers = Servers::start(&project, &build(&project, &entry, "json.wasm"), "node-json.mjs", &worker(&entry));
    let case = "JSON body of 2 KB, zod, 16 connections";
    let [node, workerd, elias] = servers.compare(case, report, |server| {
        let load = wrk(Command::new("wrk").arg("-s").arg(&script), server, 16, 3, &[]);
        assert_eq!(load.refused, 0, "{load}");
        load
    });
    report.row(
        &format!("`elias serve`: {case}"),
        &elias.beside(&node),
        "workerd's throughput; 0.3x Node",
        Some(elias.per_second >= workerd.per_second && elias.per_second >= node.per_second * 0.3),
    );
}

/// The part `express`: what a request to an Express application costs, against the Hono router.
pub(crate) fn express(report: &mut Report) {
    if !can_load("an Express application over HTTP", report) {
        return;
    }
    let project = Project::new(&[]);
    let router = build(&project, &example("router-hono").join("src/index.js"), "router.wasm");
    let express = build(&project, &root().join("tests/packages/src/express.js"), "express.wasm");
    let [router, express] = [router, express].map(|component| Server::elias(&[component.to_str().expect("UTF-8")]));
    let mut best = [f64::MAX; 2];
    // The best of three, since the machine is shared.
    for _ in 0..3 {
        for (best, server) in best.iter_mut().zip([&router, &express]) {
            *best = best.min(load(server, 16).cpu_microseconds);
        }
    }
    let [router, of_express] = best;
    let ratio = of_express / router;
    report.row(
        "`elias serve`: Express application, 16 connections: CPU a request against the Hono router's",
        &format!("{ratio:.2}x ({of_express:.0} us against {router:.0} us)"),
        "3x",
        Some(ratio <= 3.0),
    );
    system_calls("Express application", &express, report);
}

/// Whether there is what makes the load; else a row says so.
fn can_load(what: &str, report: &mut Report) -> bool {
    let is_there = Command::new("wrk").arg("-v").output().is_ok();
    if !is_there {
        report.row(what, "not measured: wrk is missing", "", None);
    }
    is_there
}

fn rivals() -> PathBuf {
    root().join("tests/bench/rivals")
}

/// The smallest component there is.
pub(crate) fn hello(project: &Project) -> PathBuf {
    project.write("hello.wasm", component(HELLO));
    project.path("hello.wasm")
}

/// The component of an entry elsewhere, under this name in the project.
pub(crate) fn build(project: &Project, entry: &Path, name: &str) -> PathBuf {
    let output = project.elias_build(&[entry.to_str().expect("UTF-8"), "-o", name]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    project.path(name)
}

/// The script for workerd of a router that is asked once at its top level. workerd lets no top level make a response;
/// its isolate lives on, so that its first request builds the tables once.
fn worker(entry: &Path) -> String {
    let bundle = Command::new(rivals().join("node_modules/.bin/esbuild"))
        .arg(entry)
        .args(["--bundle", "--format=esm"])
        .output()
        .expect("`make packages` installed esbuild");
    String::from_utf8_lossy(&bundle.stdout).replace("await app.request(\"/\");", "")
}

/// A program in Node, in workerd and in ELIAS.
struct Servers {
    node: Server,
    workerd: Server,
    elias: Server,
}

impl Servers {
    fn start(project: &Project, component: &Path, node: &str, worker: &str) -> Self {
        Self {
            node: Server::start(Command::new("node").arg(rivals().join(node))),
            workerd: Server::workerd(project, worker.as_bytes()),
            elias: Server::elias(&[component.to_str().expect("UTF-8")]),
        }
    }

    /// Loads all three, one after the other, with a row for each rival.
    fn compare(&self, case: &str, report: &mut Report, load: impl Fn(&Server) -> Load) -> [Load; 3] {
        let node = load(&self.node);
        report.row(&format!("Node: {case}"), &node.to_string(), "", None);
        let workerd = load(&self.workerd);
        report.row(&format!("workerd: {case}"), &workerd.beside(&node), "", None);
        [node, workerd, load(&self.elias)]
    }
}

/// Counts what a warm server asks of the kernel's memory management while it answers.
fn system_calls(component: &str, server: &Server, report: &mut Report) {
    const MEMORY: [&str; 4] = ["mmap", "munmap", "mprotect", "madvise"];
    let what = format!("memory system calls (mmap, munmap, mprotect, madvise) per warm request, {component}");
    let trace = Command::new("strace")
        .args(["-f", "-c", "-e", &format!("trace={}", MEMORY.join(",")), "-p", &server.pid().to_string()])
        .stderr(std::process::Stdio::piped())
        .spawn();
    let Ok(trace) = trace else {
        report.row(&what, "not measured: strace is missing", "0", None);
        return;
    };
    let requests = load(server, 16).requests;
    // strace reports what it counted when it is interrupted.
    let _ = Command::new("kill").args(["-INT", &trace.id().to_string()]).status();
    let text = trace.wait_with_output().expect("strace ends");
    let text = String::from_utf8_lossy(&text.stderr).into_owned();
    let calls = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        MEMORY.contains(words.last()?).then(|| words.get(3)?.parse::<u64>().ok())?
    });
    let each = calls.sum::<u64>() as f64 / requests as f64;
    report.row(&what, &format!("{each:.3} in {requests} requests"), "0", Some(each < 0.05));
}

/// The measurements of `wrk`, and of the kernel.
pub(crate) struct Load {
    pub(crate) requests: u64,
    /// Those without an answer of 200 or so.
    pub(crate) failed: u64,
    /// Of these those with another answer.
    refused: u64,
    per_second: f64,
    p50: String,
    pub(crate) p99: String,
    pub(crate) cpu_microseconds: f64,
}

impl Load {
    /// The p99 latency, which `wrk` says with a unit.
    pub(crate) fn p99_microseconds(&self) -> f64 {
        let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
        let in_unit = |(unit, factor): (&str, f64)| Some(self.p99.strip_suffix(unit)?.parse::<f64>().ok()? * factor);
        units.into_iter().find_map(in_unit).unwrap_or(f64::NAN)
    }

    fn beside(&self, baseline: &Self) -> String {
        format!("{self}; {:.2}x Node", self.per_second / baseline.per_second)
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { per_second, p50, p99, cpu_microseconds, .. } = self;
        write!(f, "{per_second:.0}/s, p50 {p50}, p99 {p99}, {cpu_microseconds:.0} us of CPU each")
    }
}

/// Loads a server for three seconds; none of the requests may be refused.
pub(crate) fn load(server: &Server, connections: u32) -> Load {
    let load = load_of(server, connections, 3, &[]);
    assert_eq!(load.refused, 0, "{load}");
    load
}

/// Loads a server with requests that have these header fields.
pub(crate) fn load_of(server: &Server, connections: u32, seconds: u32, headers: &[&str]) -> Load {
    wrk(&mut Command::new("wrk"), server, connections, seconds, headers)
}

/// The same with a higher priority than the server has, where the system permits it, so that latencies are the server's
/// and not those of a client that waits for a core. `nice` runs the program also where it is denied.
pub(crate) fn prioritized_load_of(server: &Server, connections: u32, seconds: u32, headers: &[&str]) -> Load {
    wrk(Command::new("nice").args(["-n", "-10", "wrk"]), server, connections, seconds, headers)
}

fn wrk(command: &mut Command, server: &Server, connections: u32, seconds: u32, headers: &[&str]) -> Load {
    let before = server.cpu_seconds();
    let output = command
        .args(["--latency", "-t1", &format!("-d{seconds}s"), &format!("-c{connections}")])
        .args(headers.iter().flat_map(|header| ["-H", *header]))
        .arg(server.url())
        .output()
        .expect("wrk runs");
    let cpu_seconds = server.cpu_seconds() - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_default().trim().to_owned()
    };
    let numbers = |text: String| -> u64 {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse::<u64>().ok()).sum()
    };
    let refused = numbers(after("Non-2xx or 3xx responses:"));
    let counted = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
    let requests: u64 = counted.expect("wrk says how many");
    Load {
        requests,
        failed: refused + numbers(after("Socket errors:")),
        refused,
        per_second: after("Requests/sec:").parse().unwrap_or(0.0),
        p50: after("50%"),
        p99: after("99%"),
        cpu_microseconds: cpu_seconds * 1e6 / requests as f64,
    }
}
