//! `elias subscriptions`: lists, pauses, resumes and replays subscriptions.

use super::{TriggerFilterArguments, TriggerNameArguments, moment};
use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output;
use clap::{Args, Subcommand};
use elias_api::SubscriptionRecord;
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use serde_json::json;

/// The arguments of `subscriptions`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SubscriptionsArguments {
    #[command(subcommand)]
    command: Option<SubscriptionsCommand>,
    #[command(flatten)]
    filter: TriggerFilterArguments,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum SubscriptionsCommand {
    /// Show a subscription
    Show(TriggerNameArguments),
    /// Pause a subscription: no event is matched until it is resumed
    Pause(TriggerNameArguments),
    /// Resume a subscription with the first event that it has not seen
    Resume(TriggerNameArguments),
    /// Replay events: deliver those again that match
    Replay(ReplayArguments),
}

#[derive(Debug, Args)]
struct ReplayArguments {
    #[command(flatten)]
    subscription: TriggerNameArguments,
    /// Replay the events after this position, as `elias events` lists them; 0: all that are kept
    #[arg(long, value_name = "POSITION", required_unless_present = "since", conflicts_with = "since")]
    after: Option<u64>,
    /// Replay the events published since this time (RFC 3339), or in this duration until now, such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,
}

/// Lists subscriptions, or does something with one.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn subscriptions(arguments: &SubscriptionsArguments) -> Result<(), Failure> {
    let SubscriptionsArguments { command, filter, target } = arguments;
    let client = Client::of(target)?;
    let switch = |subscription: &TriggerNameArguments, action: &str, done: &str| {
        let response = client.post(url(&client, subscription, &[action]), &json!({}))?;
        output::print_done(target.json, &response, &format!("{} is {done}", plain(&subscription.name)))
    };
    match command {
        None => {
            let mut url = client.tenant_url(&["subscriptions"]);
            filter.apply(&mut url);
            let header = ["component", "environment", "subscription", "type", "cursor", "state"];
            output::print_list(target.json, &client.list(&url, filter.limit)?, header, row)
        }
        Some(SubscriptionsCommand::Show(subscription)) => {
            let response = client.get(url(&client, subscription, &[]))?;
            output::print_item(target.json, &response, |record: SubscriptionRecord| describe(&record))
        }
        Some(SubscriptionsCommand::Pause(subscription)) => switch(subscription, "pause", "paused"),
        Some(SubscriptionsCommand::Resume(subscription)) => switch(subscription, "resume", "resumed"),
        Some(SubscriptionsCommand::Replay(replay)) => {
            let ReplayArguments { subscription, after, since } = replay;
            let body = match (after, since) {
                (Some(after), _) => json!({ "after": after }),
                (None, since) => json!({ "since": since }),
            };
            let response = client.post(url(&client, subscription, &["replay"]), &body)?;
            output::print_response(target.json, &response, || {
                let SubscriptionRecord { name, cursor, .. } = read(&response)?;
                Ok(format!("{} begins again after position {cursor}\n", plain(&name)))
            })
        }
    }
}

fn url(client: &Client, subscription: &TriggerNameArguments, action: &[&str]) -> reqwest::Url {
    let TriggerNameArguments { component, name, environment } = subscription;
    client.service_url(component, environment, &[&["subscriptions", name.as_str()][..], action].concat())
}

fn state(subscription: &SubscriptionRecord) -> String {
    if subscription.paused { "paused" } else { "active" }.to_owned()
}

fn row(subscription: SubscriptionRecord) -> [String; 6] {
    let state = state(&subscription);
    [
        subscription.component.to_string(),
        subscription.environment.to_string(),
        subscription.name,
        subscription.config["type"].as_str().unwrap_or_default().to_owned(),
        subscription.cursor.to_string(),
        state,
    ]
}

fn describe(subscription: &SubscriptionRecord) -> String {
    let setting = |key: &str| match &subscription.config[key] {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    output::facts([
        ("subscription", subscription.name.clone()),
        ("component", format!("{} in {}", subscription.component, subscription.environment)),
        ("type", setting("type")),
        ("where", setting("where")),
        ("transform", setting("transform")),
        ("order", setting("order")),
        ("cursor", subscription.cursor.to_string()),
        ("state", state(subscription)),
        ("revision", subscription.revision.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;

    #[test]
    fn a_subscription_is_shown_with_its_filter() {
        let record = SubscriptionRecord {
            component: "shop".parse().expect("a name"),
            environment: Environment::Staging,
            name: "paid".to_owned(),
            config: json!({ "type": "order.*", "where": { "data.country": ["uz"] } }),
            cursor: 12,
            paused: true,
            revision: 1,
        };
        let shown = describe(&record);
        assert!(shown.contains("where         {\"data.country\":[\"uz\"]}\n"), "{shown}");
        assert!(!shown.contains("transform"), "{shown}");
        assert_eq!(row(record), ["shop", "staging", "paid", "order.*", "12", "paused"].map(str::to_owned));
    }
}
