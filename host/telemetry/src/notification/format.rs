//! A notification, and its form for each kind of receiver.

use crate::alert::{AlertSeverity, FIRING_EVENT, RESOLVED_EVENT};
use crate::time::system_time;
use elias_names::{AlertRuleName, ComponentName, Environment, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::Write;

/// Alerts that a notification names, of those that fire and of those that are resolved; the others are counted.
pub const SHOWN_MAX: usize = 50;
/// Characters of a summary and of a runbook's address in a text.
const TEXT_CHARS_MAX: usize = 500;

/// An alert in a notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotifiedAlert {
    /// The component, of an alert of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The last value of the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// When it began to fire, in milliseconds since 1970.
    pub fired_at: i64,
}

/// What receivers are told of a change of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The id, which is the same for each attempt.
    pub id: String,
    /// When it was made, in milliseconds since 1970.
    pub at: i64,
    /// The tenant.
    pub tenant: TenantId,
    /// The rule.
    pub rule: AlertRuleName,
    /// The severity.
    pub severity: AlertSeverity,
    /// What the alert means.
    pub summary: String,
    /// The page of the runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The alerts that fire, [`SHOWN_MAX`] at most.
    pub firing: Vec<NotifiedAlert>,
    /// How many fire.
    pub firing_count: usize,
    /// The alerts that do not fire any more, [`SHOWN_MAX`] at most.
    pub resolved: Vec<NotifiedAlert>,
    /// How many do not fire any more.
    pub resolved_count: usize,
    /// Whether somebody only tries the receiver.
    #[serde(default)]
    pub test: bool,
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailText {
    /// The subject, one line.
    pub subject: String,
    /// The text.
    pub body: String,
}

impl Notification {
    /// The type of its event: alerts fire, or all are resolved.
    #[must_use]
    pub fn event_type(&self) -> &'static str {
        if self.firing_count > 0 { FIRING_EVENT } else { RESOLVED_EVENT }
    }

    /// The data of its event.
    #[must_use]
    pub fn data(&self) -> Value {
        // It has only texts, numbers and lists of them.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The body of a webhook: a CloudEvent as structured JSON.
    #[must_use]
    pub fn webhook_body(&self) -> String {
        let event = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": "/elias",
            "type": self.event_type(),
            "subject": self.rule,
            "time": time(self.at),
            "datacontenttype": "application/json",
            "data": self.data(),
        });
        event.to_string()
    }

    /// The body of a request to an incoming webhook of Slack.
    #[must_use]
    pub fn slack_body(&self) -> String {
        let mut text = format!("*{}*\n", escaped(&self.title()));
        for line in self.lines() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{}", escaped(&line));
        }
        json!({ "text": text.trim_end() }).to_string()
    }

    /// The mail.
    #[must_use]
    pub fn mail(&self) -> MailText {
        let mut body = format!("{}\n\n", self.title());
        for line in self.lines() {
            let _ = writeln!(body, "{line}");
        }
        let _ = writeln!(body, "\nTenant: {}\nNotification: {}", self.tenant, self.id);
        MailText { subject: format!("[ELIAS] {}", self.title()), body }
    }

    /// One line that says what has changed.
    fn title(&self) -> String {
        let (state, count) =
            if self.firing_count > 0 { ("firing", self.firing_count) } else { ("resolved", self.resolved_count) };
        let test = if self.test { "test: " } else { "" };
        let alerts = if count == 1 { "1 alert".to_owned() } else { format!("{count} alerts") };
        format!("{test}{} {state}: {} ({alerts}, {})", self.rule, self.tenant, self.severity.as_str())
    }

    /// What the alert means, and each alert.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let summary = one_line(&self.summary);
        if !summary.is_empty() {
            lines.push(summary);
        }
        for (alerts, count, state) in
            [(&self.firing, self.firing_count, "firing"), (&self.resolved, self.resolved_count, "resolved")]
        {
            lines.extend(alerts.iter().map(|alert| format!("- {state}: {}", alert.line())));
            if count > alerts.len() {
                lines.push(format!("- {state}: {} more", count - alerts.len()));
            }
        }
        lines.extend(self.runbook.as_deref().map(|runbook| format!("Runbook: {}", one_line(runbook))));
        lines
    }
}

impl NotifiedAlert {
    fn line(&self) -> String {
        let about = match (&self.component, self.environment) {
            (Some(component), Some(environment)) => format!("{component} in {environment}, "),
            _ => String::new(),
        };
        let value = self.value.map_or_else(String::new, |value| format!("value {}, ", shown(value)));
        format!("{about}{value}since {}", time(self.fired_at))
    }
}

/// A value with at most two decimals, and none that are zero.
fn shown(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A text that steers neither a terminal nor the headers of a mail, and is bounded.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    plain.take(TEXT_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// What Slack would take for a link, a mention or an entity, escaped as it asks for.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A moment in milliseconds since 1970, in UTC.
fn time(ms: i64) -> String {
    humantime::format_rfc3339_seconds(system_time(ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification() -> Notification {
        let alert = NotifiedAlert {
            component: Some("shop".parse().expect("a name")),
            environment: Some(Environment::Production),
            value: Some(12.5),
            fired_at: 60_000,
        };
        Notification {
            id: "01A".to_owned(),
            at: 90_000,
            tenant: "acme".parse().expect("a name"),
            rule: "errors".parse().expect("a name"),
            severity: AlertSeverity::Critical,
            summary: "Too many <!channel> errors & more\r\nBcc: x@y\u{1b}[31m".to_owned(),
            runbook: Some("https://runbook.example/errors".to_owned()),
            firing: vec![alert],
            firing_count: 3,
            resolved: Vec::new(),
            resolved_count: 0,
            test: false,
        }
    }

    #[test]
    fn a_webhook_is_a_cloud_event() {
        let event: Value = serde_json::from_str(&notification().webhook_body()).expect("JSON");
        assert_eq!((&event["type"], &event["id"]), (&json!("alert.firing"), &json!("01A")));
        assert_eq!((&event["time"], &event["subject"]), (&json!("1970-01-01T00:01:30Z"), &json!("errors")));
        assert_eq!(event["data"]["firing"][0]["value"], json!(12.5));
        assert_eq!(event["data"]["severity"], "critical");
        let resolved = Notification { firing_count: 0, firing: Vec::new(), resolved_count: 3, ..notification() };
        assert_eq!(resolved.event_type(), "alert.resolved");
    }

    #[test]
    fn hostile_texts_mention_nobody_and_add_no_header() {
        let slack: Value = serde_json::from_str(&notification().slack_body()).expect("JSON");
        let text = slack["text"].as_str().expect("a text");
        assert!(text.contains("Too many &lt;!channel&gt; errors &amp; more"), "{text}");
        assert!(text.contains("- firing: shop in production, value 12.5, since 1970-01-01T00:01:00Z"), "{text}");
        assert!(text.contains("- firing: 2 more") && !text.contains('\u{1b}'), "{text}");
        let mail = notification().mail();
        assert_eq!(mail.subject, "[ELIAS] errors firing: acme (3 alerts, critical)");
        assert!(!mail.body.contains('\r') && !mail.body.contains("\nBcc:"), "{}", mail.body);
        let long = Notification { summary: "x".repeat(1_000_000), ..notification() };
        assert!(long.mail().body.len() < 2_000);
    }

    #[test]
    fn values_are_for_people() {
        assert_eq!([5.0, 12.345, 0.1, 100.0, -3.0].map(shown), ["5", "12.35", "0.1", "100", "-3"]);
    }
}
