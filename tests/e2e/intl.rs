//! Intl in a component gives Node's answers.

use elias_tests::build::{Project, root};
use elias_tests::serve::Server;
use std::process::Command;

/// Fuel for a request that answers some hundreds of cases.
const FUEL: &str = "20000000000";

#[tokio::test]
async fn answers_are_those_of_node() {
    let folder = root().join("guest-js/web/test/intl");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the cases");
    let project = Project::new(&[("component.mjs", &read("component.mjs")), ("cases.mjs", &read("cases.mjs"))]);
    let server = Server::start(&project.build("component.mjs"), &["--fuel", FUEL]);
    let url = format!("http://{}", server.address);
    let compared = tokio::task::spawn_blocking(move || {
        Command::new("node").arg(folder.join("compare.mjs")).arg(url).env("TZ", "UTC").output().expect("Node runs")
    });
    let output = compared.await.expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
