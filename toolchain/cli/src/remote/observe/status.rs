//! `elias status`: what serves, its traffic and its health.

use crate::remote::connection::client::{Client, items};
use crate::remote::connection::output::{self, duration, number, time};
use clap::Args;
use elias_command_line::{Failure, Target};
use elias_delivery::rollout::VersionMetrics;
use elias_names::{ComponentName, Environment};
use serde::Deserialize;

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Component name [default: all components]
    component: Option<ComponentName>,
    #[command(flatten)]
    target: Target,
}

/// How a service stands, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    component: ComponentName,
    environment: Environment,
    stopped: bool,
    host: String,
    url: Option<String>,
    release: Release,
    canary: Option<Release>,
    pub(crate) rollout: Option<Rollout>,
    pending: bool,
}

impl Status {
    /// Where it is reached.
    pub(crate) fn address(&self) -> &str {
        self.url.as_deref().unwrap_or(&self.host)
    }
}

/// How a version that serves stands.
#[derive(Debug, Deserialize)]
struct Release {
    version: u32,
    problem: Option<String>,
    health: Health,
    /// None from a host of a release that has one circuit for all.
    trigger_health: Option<Health>,
    figures: VersionMetrics,
}

#[derive(Debug, Deserialize)]
struct Health {
    state: String,
    reason: String,
    since_ms: i64,
}

impl Health {
    fn text(&self) -> String {
        let Self { state, reason, since_ms } = self;
        if reason.is_empty() { state.clone() } else { format!("{state} since {}: {reason}", time(*since_ms)) }
    }
}

/// How far a canary is.
#[derive(Debug, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) percent: f64,
    /// `running` or `paused`.
    state: String,
    pub(crate) waiting: String,
}

/// Shows how services stand.
pub(crate) fn status(arguments: &StatusArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let response = client.get(client.services_url(arguments.component.as_ref()))?;
    output::print_response(arguments.target.json, &response, || {
        let all: Vec<Status> = items(&response)?;
        if let (true, Some(component)) = (all.is_empty(), &arguments.component) {
            return Ok(format!("{component} serves nowhere\n"));
        }
        Ok(show(&all))
    })
}

/// How one service stands; none if it does not serve on the host that was asked.
pub(crate) fn of(
    client: &Client,
    component: &ComponentName,
    environment: Environment,
) -> Result<Option<Status>, Failure> {
    let all: Vec<Status> = items(&client.get(client.services_url(Some(component)))?)?;
    Ok(all.into_iter().find(|status| status.environment == environment))
}

/// A line for each version that serves, the canary under what it is to replace.
fn show(all: &[Status]) -> String {
    let header =
        ["component", "environment", "version", "share", "requests", "failures", "p99", "fuel", "health", "waiting"];
    output::table(header, all.iter().flat_map(rows))
}

fn rows(status: &Status) -> Vec<[String; 10]> {
    let share = status.rollout.as_ref().map_or(0.0, |rollout| rollout.percent);
    let waiting = status.rollout.as_ref().map_or_else(String::new, |rollout| match rollout.state.as_str() {
        "paused" => "paused: elias canary resume".to_owned(),
        _ => rollout.waiting.clone(),
    });
    let store = if status.pending { "for the store, to be told of a rollback" } else { "" };
    let row = |release: &Release, share: f64, waiting: &str| {
        let VersionMetrics { requests, failures, p99_us, fuel_mean, .. } = release.figures;
        // Jobs wait while the circuit of triggers is open, and requests do not notice.
        let triggers = release.trigger_health.as_ref().filter(|health| health.state != "healthy");
        let health = match (status.stopped, &release.problem, triggers) {
            (true, ..) => "stopped by hand".to_owned(),
            (false, Some(problem), _) => format!("cannot be loaded: {problem}"),
            (false, None, Some(triggers)) => format!("{}; triggers {}", release.health.text(), triggers.text()),
            (false, None, None) => release.health.text(),
        };
        [
            status.component.to_string(),
            status.environment.to_string(),
            release.version.to_string(),
            // Shares have two digits after the point; what is left of 100 may have more.
            format!("{} %", (share * 100.0).round() / 100.0),
            number(requests),
            number(failures),
            p99_us.map_or_else(String::new, duration),
            number(fuel_mean.max(0.0) as u64),
            health,
            waiting.to_owned(),
        ]
    };
    let base = row(&status.release, 100.0 - share, store);
    let canary = status.canary.as_ref().map(|canary| row(canary, share, &waiting));
    std::iter::once(base).chain(canary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::connection::client::read;
    use serde_json::json;

    #[test]
    fn a_canary_is_shown_under_what_it_is_to_replace() {
        let release = |version: u32, reason: &str, triggers: &str| {
            let figures =
                json!({ "requests": 1234, "failures": 1, "p99_us": 1500, "fuel_mean": 2000.5, "fuel_deviation": 1.0 });
            let health = json!({ "state": "healthy", "reason": reason, "since_ms": 0 });
            let trigger_health = json!({ "state": triggers, "reason": "", "since_ms": 0 });
            json!({
                "version": version, "digest": "d", "deployment": "x", "loaded": true, "health": health,
                "trigger_health": trigger_health, "figures": figures
            })
        };
        let rollout = json!({
            "id": "x", "state": "running", "step": 0, "percent": 10.0, "steps": [10.0, 100.0], "since_ms": 0,
            "reason": "",
            "waiting": "50 requests", "canary": {}, "base": null
        });
        let status = json!({
            "component": "shop", "environment": "production", "revision": 3, "stopped": false,
            "host": "shop.default.localhost", "url": "http://shop.default.localhost:8787",
            "release": release(1, "", "open"), "canary": release(2, "it was open", "healthy"), "rollout": rollout,
            "executions": [], "pending": false
        });
        let status: Status = read(&status).expect("it is as the API writes it");
        assert_eq!(status.address(), "http://shop.default.localhost:8787");
        let text = show(&[status]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect())
            .collect();
        let base = ["shop", "production", "1", "90 %", "1,234", "1", "1.5 ms", "2,000", "healthy; triggers open"];
        assert_eq!(lines[1], base);
        let health = "healthy since 1970-01-01T00:00:00Z: it was open";
        let canary = ["shop", "production", "2", "10 %", "1,234", "1", "1.5 ms", "2,000", health, "50 requests"];
        assert_eq!(lines[2], canary);
    }
}
