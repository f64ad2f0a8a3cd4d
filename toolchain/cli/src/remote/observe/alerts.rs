//! `elias alerts`: lists alerts, silences them, and looks after rules and receivers.

use crate::remote::connection::client::{Client, named, read};
use crate::remote::connection::input::read_json;
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::{
    Alert, AlertCondition, AlertMatcher, AlertRule, AlertSeverity, Receiver, ReceiverTest, Silence, SilenceSettings,
};
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::{AlertRuleName, ComponentName, Environment, ReceiverName};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// The most items that are listed.
const LISTED_MAX: usize = 1_000;
/// Bytes of a file with settings.
const SETTINGS_BYTES_MAX: usize = 64 << 10;
/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The arguments of `alerts`.
#[derive(Debug, Args)]
pub(crate) struct AlertsArguments {
    #[command(subcommand)]
    command: AlertsCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// List the alerts that are pending, fire, or were resolved within the last hour
    List,
    /// List the alert rules, the built-in ones included
    Rules,
    /// Show an alert rule as JSON
    ShowRule {
        /// Rule name
        name: AlertRuleName,
    },
    /// Create or change an alert rule
    SetRule {
        /// Rule name; that of a built-in rule changes it
        name: AlertRuleName,
        /// File with the settings as JSON, or - for standard input
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Delete an alert rule; the built-in one of its name holds again
    DeleteRule {
        /// Rule name
        name: AlertRuleName,
    },
    /// Silence alerts that match all given options, also those that fire already
    Silence(SilenceArguments),
    /// List the silences that have not ended
    Silences,
    /// End a silence
    Unsilence {
        /// Silence id
        id: String,
    },
    /// List the receivers of notifications
    Receivers,
    /// Create or change a receiver of notifications
    SetReceiver {
        /// Receiver name
        name: ReceiverName,
        /// File with the settings as JSON, or - for standard input
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Delete a receiver of notifications
    DeleteReceiver {
        /// Receiver name
        name: ReceiverName,
    },
    /// Send a test notification to a receiver
    Test {
        /// Receiver name
        receiver: ReceiverName,
    },
}

#[derive(Debug, Args)]
struct SilenceArguments {
    #[command(flatten)]
    matcher: MatcherArguments,
    /// How long, such as 2h; 90 days at most
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// The alerts of a silence: at least one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct MatcherArguments {
    /// Alerts of this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<AlertRuleName>,
    /// Alerts of this component
    #[arg(long, value_name = "NAME")]
    component: Option<ComponentName>,
    /// Alerts of this environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// Alerts of this severity: info, warning or critical
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<AlertSeverity>,
}

/// Lists alerts, silences them, and looks after rules and receivers.
///
/// # Errors
/// If the platform refuses, a file cannot be read, or a receiver does not take a test.
pub(crate) fn alerts(arguments: &AlertsArguments) -> Result<(), Failure> {
    let AlertsArguments { command, target } = arguments;
    let client = Client::of(target)?;
    let json = target.json;
    let rule_url = |name: &AlertRuleName| client.tenant_url(&["alert-rules", name.as_str()]);
    let receiver_url = |name: &ReceiverName| client.tenant_url(&["receivers", name.as_str()]);
    match command {
        AlertsCommand::List => {
            let response = client.list(&client.tenant_url(&["alerts"]), LISTED_MAX)?;
            let header = ["rule", "component", "environment", "state", "since", "value", "severity", "silenced"];
            output::print_list(json, &response, header, alert_row)
        }
        AlertsCommand::Rules => {
            let response = client.list(&client.tenant_url(&["alert-rules"]), LISTED_MAX)?;
            let header = ["rule", "condition", "window", "for", "severity", "set by"];
            output::print_list(json, &response, header, |rule: AlertRule| rule_row(&response, &rule))
        }
        AlertsCommand::ShowRule { name } => {
            let response = client.get(rule_url(name))?;
            output::print_response(json, &response, || Ok(format!("{:#}\n", response["settings"])))
        }
        AlertsCommand::SetRule { name, file } => {
            let response = client.put(rule_url(name), &settings(file)?)?;
            output::print_done(json, &response, &format!("alert rule {name} is set"))
        }
        AlertsCommand::DeleteRule { name } => {
            let response = client.delete(rule_url(name))?;
            output::print_done(json, &response, &format!("alert rule {name} is deleted"))
        }
        AlertsCommand::Silence(silence) => {
            let response = client.post(client.tenant_url(&["silences"]), &silence.settings())?;
            output::print_item(json, &response, |made: Silence| {
                format!("silence {} lasts until {}\n", plain(&made.id), time(made.until))
            })
        }
        AlertsCommand::Silences => {
            let response = client.list(&client.tenant_url(&["silences"]), LISTED_MAX)?;
            let row = |silence: Silence| {
                let by = named(&response, &silence.created_by);
                [silence.id, matched(&silence.matcher), time(silence.until), by, silence.reason]
            };
            output::print_list(json, &response, ["id", "alerts", "until", "by", "reason"], row)
        }
        AlertsCommand::Unsilence { id } => {
            let response = client.delete(client.tenant_url(&["silences", id]))?;
            output::print_done(json, &response, &format!("silence {} has ended", plain(id)))
        }
        AlertsCommand::Receivers => {
            let response = client.list(&client.tenant_url(&["receivers"]), LISTED_MAX)?;
            let row = |receiver: Receiver| {
                let delivered = receiver.delivered_at.map_or_else(|| "never".to_owned(), time);
                let (name, kind) = (receiver.name.to_string(), receiver.kind.as_str().to_owned());
                [name, kind, receiver.target, delivered, receiver.error.unwrap_or_default()]
            };
            output::print_list(json, &response, ["receiver", "kind", "target", "delivered", "last error"], row)
        }
        AlertsCommand::SetReceiver { name, file } => {
            let response = client.put(receiver_url(name), &settings(file)?)?;
            output::print_done(json, &response, &format!("receiver {name} is set"))
        }
        AlertsCommand::DeleteReceiver { name } => {
            let response = client.delete(receiver_url(name))?;
            output::print_done(json, &response, &format!("receiver {name} is deleted"))
        }
        AlertsCommand::Test { receiver } => {
            let url = client.tenant_url(&["receivers", receiver.as_str(), "test"]);
            let response = client.post_once(url, &json!({}))?;
            let ReceiverTest { delivered, error } = read(&response)?;
            if !delivered {
                let why = plain(&error.unwrap_or_default());
                let message = format!("the receiver {receiver} did not take the notification: {why}");
                return Err(Failure::new(CliErrorCode::NotDelivered, message));
            }
            output::print_done(json, &response, &format!("the receiver {receiver} took the notification"))
        }
    }
}

impl SilenceArguments {
    fn settings(&self) -> SilenceSettings {
        let MatcherArguments { rule, component, environment, severity } = &self.matcher;
        SilenceSettings {
            matcher: AlertMatcher {
                rule: rule.clone(),
                component: component.clone(),
                environment: *environment,
                severity: *severity,
            },
            seconds: self.duration.as_secs(),
            reason: self.reason.clone(),
        }
    }
}

fn alert_row(alert: Alert) -> [String; 8] {
    [
        alert.rule.to_string(),
        alert.component.map_or_else(String::new, |component| component.to_string()),
        alert.environment.map_or_else(String::new, |environment| environment.to_string()),
        alert.state.as_str().to_owned(),
        time(alert.since),
        alert.value.map_or_else(String::new, shown),
        alert.severity.as_str().to_owned(),
        alert.silence.map_or_else(String::new, |_| "yes".to_owned()),
    ]
}

fn rule_row(response: &Value, rule: &AlertRule) -> [String; 6] {
    let settings = &rule.settings;
    let than = match settings.condition {
        AlertCondition::Above => ">",
        AlertCondition::Below => "<",
    };
    let condition = match &settings.pattern {
        Some(pattern) => format!("{} of \"{pattern}\" {than} {}", settings.metric, shown(settings.threshold)),
        None => format!("{} {than} {}", settings.metric, shown(settings.threshold)),
    };
    let by = match (rule.revision, settings.enabled) {
        (0, _) => "built in".to_owned(),
        (_, true) => named(response, &rule.changed_by),
        (_, false) => format!("{}, off", named(response, &rule.changed_by)),
    };
    let seconds = |seconds: u64| humantime::format_duration(Duration::from_secs(seconds)).to_string();
    [
        rule.name.to_string(),
        condition,
        seconds(settings.window_seconds),
        seconds(settings.for_seconds),
        settings.severity.as_str().to_owned(),
        by,
    ]
}

/// A value with at most two decimals, and none that are zero.
fn shown(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The alerts that a silence matches.
fn matched(matcher: &AlertMatcher) -> String {
    let AlertMatcher { rule, component, environment, severity } = matcher;
    let parts = [
        rule.as_ref().map(|rule| format!("rule {rule}")),
        component.as_ref().map(|component| format!("component {component}")),
        environment.map(|environment| format!("in {environment}")),
        severity.map(|severity| severity.as_str().to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The settings in a file or on standard input.
fn settings(file: &str) -> Result<Value, Failure> {
    read_json(Some(Path::new(file)).filter(|_| file != STANDARD_INPUT), SETTINGS_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silences_are_shown_by_what_they_match() {
        let matcher = AlertMatcher {
            rule: Some("errors".parse().expect("a name")),
            environment: Some(Environment::Production),
            ..AlertMatcher::default()
        };
        assert_eq!(matched(&matcher), "rule errors, in production");
        assert_eq!([0.5, 80.0, -1.25].map(shown), ["0.5", "80", "-1.25"]);
    }

    #[test]
    fn settings_are_read_from_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rule.json");
        std::fs::write(&path, r#"{"metric":"executions"}"#).expect("written");
        let path = path.display().to_string();
        assert_eq!(settings(&path).expect("read"), json!({ "metric": "executions" }));
        std::fs::write(&path, "metric = 1").expect("written");
        assert!(settings(&path).is_err() && settings("/nowhere/rule.json").is_err());
        std::fs::write(&path, format!("{{}}{}", " ".repeat(SETTINGS_BYTES_MAX))).expect("written");
        let refused = settings(&path).expect_err("it is too long").to_string();
        assert!(refused.contains("more than 65536 bytes"), "{refused}");
    }
}
