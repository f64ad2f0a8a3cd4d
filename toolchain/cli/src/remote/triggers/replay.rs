//! `elias events replay`: delivers events to a subscription once more.

use super::{TriggerNameArguments, moment, parse_json};
use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, number};
use clap::Args;
use elias_api::{ReplaySelection, ReplayedEvents};
use elias_command_line::Failure;
use serde_json::{Map, Value};

/// The arguments of `events replay`. Without a selection all events that are kept are delivered once more.
#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    subscription: TriggerNameArguments,
    /// Replay the events after this position only
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Replay the events published since this time only (RFC 3339), or in this duration until now, such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i64>,
    /// Replay the events published before this time only (RFC 3339), or this duration ago or earlier
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,
    /// Replay the event with this id only; repeatable
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// Replay the events of this type or pattern only, such as order.*
    #[arg(long = "type", value_name = "PATTERN")]
    event_type: Option<String>,
    /// Replay the events with this subject only
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Replay the events that fulfil these conditions only, as `where` in elias.toml
    #[arg(long = "where", value_name = "JSON", value_parser = parse_conditions)]
    filter: Option<Map<String, Value>>,
    /// Version that handles them, which serves in the environment or did [default: what serves]
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Maximum number of deliveries
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

/// Delivers events once more, and says where to go on.
///
/// # Errors
/// If the platform refuses.
pub(super) fn replay(client: &Client, arguments: &ReplayArguments, json: bool) -> Result<(), Failure> {
    let TriggerNameArguments { component, name, environment } = &arguments.subscription;
    let url = client.service_url(component, environment, &["subscriptions", name.as_str(), "events"]);
    let response = client.post(url, &arguments.selection())?;
    output::print_response(json, &response, || Ok(describe(&read(&response)?)))
}

/// Conditions by path, as a JSON object.
fn parse_conditions(text: &str) -> Result<Map<String, Value>, String> {
    match parse_json(text)? {
        Value::Object(conditions) => Ok(conditions),
        _ => Err("must be an object such as '{\"data.total\": {\"gte\": 100}}'".to_owned()),
    }
}

fn describe(replayed: &ReplayedEvents) -> String {
    let deliveries = format!("{} deliveries are ready", number(replayed.deliveries));
    match replayed.next {
        None => format!("{deliveries}\n"),
        Some(next) => format!("{deliveries}; go on with --after {next}\n"),
    }
}

impl ReplayArguments {
    fn selection(&self) -> ReplaySelection {
        ReplaySelection {
            after: self.after,
            since: self.from,
            until: self.to,
            ids: self.ids.clone(),
            event_type: self.event_type.clone(),
            subject: self.subject.clone(),
            filter: self.filter.clone().unwrap_or_default(),
            version: self.version,
            limit: Some(self.limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_an_object() {
        assert_eq!(parse_conditions("{\"subject\": \"a\"}").expect("an object").len(), 1);
        assert!(parse_conditions("[]").is_err() && parse_conditions("subject").is_err());
    }

    #[test]
    fn a_replay_says_where_to_go_on() {
        let rest = describe(&ReplayedEvents { deliveries: 100, next: Some(7) });
        assert_eq!(rest, "100 deliveries are ready; go on with --after 7\n");
        assert_eq!(describe(&ReplayedEvents { deliveries: 0, next: None }), "0 deliveries are ready\n");
    }
}
