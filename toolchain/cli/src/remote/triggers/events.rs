//! `elias events`: lists and publishes events, and administers dead letters.

use super::jobs::{list, print_changed};
use super::replay::{ReplayArguments, replay};
use super::{TriggerFilterArguments, append, moment, parse_json};
use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, time};
use clap::{Args, Subcommand};
use elias_api::{EventRecord, JobSelection, PublishedEvents};
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};
use serde_json::{Value, json};

/// The source of events that are published without one.
const SOURCE: &str = "/elias/command-line";

/// The arguments of `events`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct EventsArguments {
    #[command(subcommand)]
    command: Option<EventsCommand>,
    /// List the events after this position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// Maximum number of entries, oldest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Publish an event
    Publish(PublishArguments),
    /// Deliver events of the log to a subscription once more; its cursor stays
    Replay(ReplayArguments),
    /// List dead letters: deliveries that failed and are not retried
    Dead {
        #[command(flatten)]
        filter: TriggerFilterArguments,
        /// List those of this subscription or webhook only
        #[arg(long, value_name = "NAME")]
        subscription: Option<String>,
    },
    /// Retry the dead letters of a selection; `elias jobs retry ID` retries one
    Retry(LetterArguments),
    /// Discard the dead letters of a selection; `elias jobs discard ID` discards one
    Discard {
        #[command(flatten)]
        letters: LetterArguments,
        /// Discard those of all subscriptions, the newest 1,000 at most
        #[arg(
            long,
            required_unless_present_any = ["component", "environment", "subscription", "before"],
            conflicts_with_all = ["component", "environment", "subscription", "before"],
        )]
        all: bool,
    },
}

/// Which dead letters.
#[derive(Debug, Args)]
struct LetterArguments {
    /// Select those of this component only
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentName>,
    /// Select those in this environment only: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// Select those of this subscription or webhook only
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,
    /// Select those matched before this time only (RFC 3339), or this duration ago or earlier, such as 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: Option<i64>,
}

impl LetterArguments {
    fn body(&self) -> JobSelection {
        JobSelection {
            component: self.component.clone(),
            environment: self.environment,
            trigger: None,
            name: self.subscription.clone(),
            before: self.before,
        }
    }
}

#[derive(Debug, Args)]
struct PublishArguments {
    /// Type, such as order.paid
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// Data
    #[arg(long, value_name = "JSON", value_parser = parse_json, default_value = "null")]
    data: Value,
    /// Subject: what it happened to
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Source: where it happened, a URI reference
    #[arg(long, value_name = "URI", default_value = SOURCE)]
    source: String,
    /// Id: an event with the source and id of an earlier one is not published again [default: a new ULID]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

/// Lists, publishes or replays events, or lists, retries and discards dead letters.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn events(arguments: &EventsArguments) -> Result<(), Failure> {
    let EventsArguments { command, after, limit, target } = arguments;
    let client = Client::of(target)?;
    match command {
        None => {
            let mut url = client.tenant_url(&["events"]);
            append(&mut url, "after", Some(&after.to_string()));
            append(&mut url, "limit", Some(&limit.to_string()));
            let header = ["position", "published", "type", "subject", "source", "id", "data"];
            output::print_list(target.json, &client.get(url)?, header, row)
        }
        Some(EventsCommand::Publish(publish)) => {
            let response = client.post(client.tenant_url(&["events"]), &publish.event())?;
            output::print_response(target.json, &response, || {
                let PublishedEvents { ids } = read(&response)?;
                Ok(ids.iter().map(|id| format!("event {}\n", plain(id))).collect())
            })
        }
        Some(EventsCommand::Replay(arguments)) => replay(&client, arguments, target.json),
        Some(EventsCommand::Dead { filter, subscription }) => {
            let mut url = client.tenant_url(&["dead-letters"]);
            filter.apply(&mut url);
            append(&mut url, "subscription", subscription.as_deref());
            list(target.json, &client.list(&url, filter.limit)?)
        }
        Some(EventsCommand::Retry(letters)) => {
            let response = client.post(client.tenant_url(&["dead-letters", "retry"]), &letters.body())?;
            print_changed(target.json, &response, "ready again")
        }
        Some(EventsCommand::Discard { letters, all }) => {
            let selection = if *all { JobSelection::default() } else { letters.body() };
            let response = client.post(client.tenant_url(&["dead-letters", "discard"]), &selection)?;
            print_changed(target.json, &response, "discarded")
        }
    }
}

impl PublishArguments {
    /// The event in the JSON format of CloudEvents 1.0.
    fn event(&self) -> Value {
        let mut event = json!({
            "specversion": "1.0",
            "id": self.id.clone().unwrap_or_else(|| ulid::Ulid::new().to_string()),
            "type": self.event_type,
            "source": self.source,
            "data": self.data,
        });
        if let Some(subject) = &self.subject {
            event["subject"] = json!(subject);
        }
        event
    }
}

fn row(event: EventRecord) -> [String; 7] {
    [
        event.position.to_string(),
        time(event.published_at),
        event.event_type,
        event.subject.unwrap_or_default(),
        event.source,
        event.id,
        event.data,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_an_id_of_its_own_and_a_subject_if_there_is_one() {
        let arguments = |id: Option<&str>, subject: Option<&str>| PublishArguments {
            event_type: "order.paid".to_owned(),
            data: json!({ "total": 5 }),
            subject: subject.map(str::to_owned),
            source: SOURCE.to_owned(),
            id: id.map(str::to_owned),
        };
        let event = arguments(Some("1"), Some("o-1")).event();
        let wanted = json!({
            "specversion": "1.0", "id": "1", "type": "order.paid", "source": SOURCE, "subject": "o-1",
            "data": { "total": 5 },
        });
        assert_eq!(event, wanted);
        let (first, second) = (arguments(None, None).event(), arguments(None, None).event());
        assert_ne!(first["id"], second["id"]);
        assert!(first.get("subject").is_none());
    }
}
