//! The same in a Node process with the queue of EIASW, and in workerd's Durable Objects, both in memory alone.

use super::WORKERS;
use super::measure::Messages;
use crate::report::Report;
use crate::server::Server;
use elias_tests::build::{Project, root};
use std::process::Command;
use std::time::{Duration, Instant};

/// Messages that one request to workerd sends, and how long they are sent.
const MESSAGES: u32 = 1_000;
const SENT_FOR: Duration = Duration::from_secs(5);

/// Messages to as many workers; `ours` are those to workers in memory.
pub(super) fn run(ours: &Messages, report: &mut Report) {
    eiasw(ours, report);
    durable_objects(ours, report);
}

/// A Node process in which each worker has a queue of its own.
fn eiasw(ours: &Messages, report: &mut Report) {
    let what = format!("messages to {WORKERS} workers in memory: ELIAS against a Node process with EIASW's queue");
    let rival = root().join("tests/bench/rivals/eiasw-queue.mjs");
    let Ok(output) = Command::new("node").arg(rival).arg(WORKERS.to_string()).output() else {
        return report.row(&what, "not measured: node is not installed", "", None);
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let theirs: f64 = said.trim().parse().expect("it says how many a second");
    report.row(&what, &beside(ours, theirs), "", None);
}

/// Objects of workerd whose storage is in memory, each called by the stub of its name.
fn durable_objects(ours: &Messages, report: &mut Report) {
    let what = format!("messages to {WORKERS} workers in memory: ELIAS against Durable Objects of workerd");
    let rivals = root().join("tests/bench/rivals");
    if !rivals.join("node_modules/@cloudflare/workerd-linux-64/bin/workerd").exists() {
        return report.row(&what, "not measured: workerd is not installed", "", None);
    }
    let script = std::fs::read(rivals.join("durable-objects.js")).expect("it is there");
    let server = Server::workerd_of(&Project::new(&[]), "workerd-objects.capnp", &script);
    // Objects are there, code is compiled.
    let path = format!("/?count={WORKERS}&messages={MESSAGES}");
    let answer = server.get_path(&path);
    if !answer.starts_with("HTTP/1.1 200") {
        let line = answer.lines().next().unwrap_or_default();
        return report.row(&what, &format!("not measured: workerd responded with {line}"), "", None);
    }
    let (started, mut sent) = (Instant::now(), 0_u32);
    while started.elapsed() < SENT_FOR {
        assert!(server.get_path(&path).starts_with("HTTP/1.1 200"), "it answers as before");
        sent += MESSAGES;
    }
    report.row(&what, &beside(ours, f64::from(sent) / started.elapsed().as_secs_f64()), "", None);
}

fn beside(ours: &Messages, theirs: f64) -> String {
    let rate = ours.per_second();
    format!("{:.2}x ({rate:.0}/s against {theirs:.0}/s)", rate / theirs)
}
