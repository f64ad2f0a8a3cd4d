//! Requests a second over HTTP, beside Node's `http` in the same run. The load comes from `wrk`, on the same cores.

use crate::report::Report;
use elias_tests::build::{Project, binary, component};
use elias_tests::serve::example;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const NODE_HELLO: &str = "require('http').createServer((q, r) => r.end('Hello, world!\\n')).listen(0, '127.0.0.1',
    function () { console.log('http://127.0.0.1:' + this.address().port); });";

/// A server that is ended when dropped.
struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}

/// Starts a server that says its URL in its first line.
fn start(command: &mut Command) -> Server {
    let mut process = command.stdout(Stdio::piped()).spawn().expect("the server starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says its URL");
    let url = line.trim().rsplit("http://").next().map(|rest| format!("http://{rest}/")).unwrap_or_default();
    Server { process, url }
}

fn elias(file: &Path) -> Server {
    start(
        Command::new(binary("elias")).env("ELIAS_LOG", "off").arg("serve").arg(file).args(["--listen", "127.0.0.1:0"]),
    )
}

pub(crate) fn run(report: &mut Report) {
    if Command::new("wrk").arg("-v").output().is_err() {
        report.row("over HTTP", "not measured: wrk is missing", "", None);
        return;
    }
    let project = Project::new(&[]);
    project.write("hello.wasm", component("export default { fetch: () => new Response('Hello, world!\\n') };"));
    let hono = example("router-hono").join("src/index.js");
    let output = project.elias_build(&[hono.to_str().expect("UTF-8"), "-o", "hono.wasm"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let node = start(Command::new("node").args(["-e", NODE_HELLO]));
    let hello = elias(&project.path("hello.wasm"));
    let router = elias(&project.path("hono.wasm"));
    for connections in [1, 16, 256] {
        let node = load(&node.url, connections);
        report.row(&format!("Node `http`, hello, {connections} connections"), &node.to_string(), "", None);
        for (what, server) in [("hello", &hello), ("Hono router", &router)] {
            let ours = load(&server.url, connections);
            let ratio = ours.per_second / node.per_second;
            let measured = format!("{ours}; {ratio:.2}x Node's hello");
            report.row(
                &format!("`elias serve`, {what}, {connections} connections"),
                &measured,
                "0.5x (aim)",
                Some(ratio >= 0.5),
            );
        }
    }
}

/// What `wrk` saw.
struct Load {
    per_second: f64,
    p50: String,
    p99: String,
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0}/s, p50 {}, p99 {}", self.per_second, self.p50, self.p99)
    }
}

fn load(url: &str, connections: u32) -> Load {
    let output = Command::new("wrk")
        .args(["--latency", "-t1", "-d3s", &format!("-c{connections}"), url])
        .output()
        .expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_default().trim().to_owned()
    };
    assert!(!text.contains("Non-2xx"), "{text}");
    Load { per_second: after("Requests/sec:").parse().unwrap_or(0.0), p50: after("50%"), p99: after("99%") }
}
