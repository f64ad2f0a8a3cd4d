//! Triggers, which start components beside requests: `elias schedules`, `elias jobs`, `elias workflows`, `elias events`
//! and `elias subscriptions`.

pub(crate) mod events;
pub(crate) mod jobs;
mod replay;
pub(crate) mod schedules;
mod steps;
pub(crate) mod subscriptions;
pub(crate) mod workflows;

use clap::Args;
use elias_names::{ComponentName, Environment};
use reqwest::Url;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which of them are listed.
#[derive(Debug, Args)]
pub(crate) struct TriggerFilterArguments {
    /// List those of this component only
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentName>,
    /// List those in this environment only: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// Maximum number of entries
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

impl TriggerFilterArguments {
    /// Adds the filter to the query.
    fn apply(&self, url: &mut Url) {
        let environment = self.environment.map(|environment| environment.to_string());
        append(url, "component", self.component.as_ref().map(ComponentName::as_str));
        append(url, "environment", environment.as_deref());
    }
}

/// A schedule or a subscription.
#[derive(Debug, Args)]
pub(crate) struct TriggerNameArguments {
    /// Component name
    component: ComponentName,
    /// Name in elias.toml
    name: String,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    environment: Environment,
}

/// Adds a parameter to the query, if it has a value.
pub(super) fn append(url: &mut Url, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
}

/// A value that is given as JSON.
pub(super) fn parse_json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("must be JSON such as '{{\"id\": 1}}': {error}"))
}

/// A moment: a time of RFC 3339, or how long ago it was. In milliseconds since 1970.
pub(in crate::remote) fn moment(text: &str) -> Result<i64, String> {
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    let time = ago.or_else(|| humantime::parse_rfc3339_weak(text).ok());
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let milliseconds = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    milliseconds.ok_or_else(|| "must be a time such as 2026-03-29T12:00:00Z, or a duration such as 2h".to_owned())
}

/// So many milliseconds as a duration with units, such as `1h 30m`.
fn span(milliseconds: u64) -> String {
    humantime::format_duration(Duration::from_millis(milliseconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago_it_was() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(1_000));
        assert_eq!(moment("1970-01-01 00:00:02"), Ok(2_000));
        let ago = moment("1h").expect("a duration");
        let now = moment("0s").expect("a duration");
        assert!((3_599_000..=3_601_000).contains(&(now - ago)), "{now} {ago}");
        for wrong in ["", "yesterday", "-1h", "1900-01-01T00:00:00Z"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_an_example() {
        assert_eq!(parse_json("{\"id\": 1}"), Ok(serde_json::json!({ "id": 1 })));
        assert!(parse_json("id").expect_err("it is no JSON").contains("must be JSON such as '{\"id\": 1}'"));
    }

    #[test]
    fn a_filter_without_conditions_adds_nothing() {
        let mut url = Url::parse("http://a.example/v1").expect("a URL");
        let filter = TriggerFilterArguments { component: None, environment: None, limit: 1 };
        filter.apply(&mut url);
        assert_eq!(url.query(), None);
        let component = Some("shop".parse().expect("a name"));
        let filter = TriggerFilterArguments { component, environment: Some(Environment::Staging), limit: 1 };
        filter.apply(&mut url);
        assert_eq!(url.query(), Some("component=shop&environment=staging"));
    }
}
