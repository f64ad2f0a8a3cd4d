//! graphile-worker, a queue in PostgreSQL for Node.

use super::jobs::JOBS;
use crate::parameters::number_of;
use crate::report::Report;
use elias_tests::build::root;
use std::process::Command;

/// Jobs that do nothing, run by graphile-worker on the same PostgreSQL. `ours` is how many a platform ran a second.
pub(super) fn graphile_worker(url: &str, ours: f64, report: &mut Report) {
    let what = "jobs that do nothing, a platform on PostgreSQL against graphile-worker on the same";
    let folder = root().join("tests/bench/rivals/queue");
    if !folder.join("node_modules/graphile-worker").exists() {
        report.row(what, "not measured: graphile-worker is not installed", "1x", None);
        return;
    }
    let jobs = number_of("JOBS", JOBS).to_string();
    let output = Command::new("node").arg("graphile-worker.mjs").args([url, &jobs]).current_dir(folder).output();
    let output = output.expect("node is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let theirs: f64 = said.lines().last().and_then(|line| line.trim().parse().ok()).expect("it says how many");
    let ratio = ours / theirs;
    report.row(what, &format!("{ratio:.2}x ({ours:.0}/s against {theirs:.0}/s)"), "1x", Some(ratio >= 1.0));
}
