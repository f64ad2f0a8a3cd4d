//! Callers who get a version of their own: `elias targeting`.

use super::services::ServiceArguments;
use crate::remote::connection::client::Client;
use crate::remote::connection::output;
use clap::Args;
use elias_command_line::Failure;
use elias_command_line::text::plain;
use elias_delivery::rollout::{FlagRule, Sticky};
use serde_json::{Value, json};

/// The arguments of `targeting`.
#[derive(Debug, Args)]
pub(crate) struct TargetingArguments {
    /// Targeting rule: a version, and a condition such as `3 organization=acme`, `3 plan=pro` (a claim of the token)
    /// or `3 10%`; the first that matches applies; repeatable
    #[arg(long = "give", value_name = "RULE", value_parser = rule, conflicts_with = "clear")]
    rules: Vec<FlagRule>,
    /// Delete all targeting rules
    #[arg(long)]
    clear: bool,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Shows the rules, or puts others in their place.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn targeting(arguments: &TargetingArguments) -> Result<(), Failure> {
    let ServiceArguments { component, environment, target } = &arguments.service;
    let client = Client::of(target)?;
    if !arguments.rules.is_empty() || arguments.clear {
        let url = client.service_url(component, environment, &["flags"]);
        let response = client.put(url, &json!({ "rules": arguments.rules }))?;
        return output::print_done(
            target.json,
            &response,
            &format!("{component} in {environment} has {} targeting rules", arguments.rules.len()),
        );
    }
    let response = client.get(client.services_url(Some(component)))?;
    let services = response["items"].as_array();
    let service = services.into_iter().flatten().find(|service| service["environment"] == environment.to_string());
    let rules = service.map_or(Value::Null, |service| service["flags"].clone());
    output::print_response(target.json, &rules, || {
        let line = |rule: &Value| format!("{}\n", plain(&rule.to_string()));
        Ok(rules.as_array().into_iter().flatten().map(line).collect())
    })
}

/// `VERSION`, then who: `organization=NAME` or `CLAIM=VALUE`, and `N%` of them.
fn rule(text: &str) -> Result<FlagRule, String> {
    let mut words = text.split_whitespace();
    let version = words.next().and_then(|word| word.parse().ok()).ok_or("a rule begins with a version's number")?;
    let mut rule =
        FlagRule { version, organization: None, claim: None, value: None, percent: 100.0, sticky: Sticky::None };
    for word in words {
        if let Some(percent) = word.strip_suffix('%') {
            rule.percent = percent.parse().map_err(|_| format!("`{word}` is not a percentage: write one like 25%"))?;
        } else if let Some(organization) = word.strip_prefix("organization=") {
            rule.organization = Some(organization.to_owned());
        } else if let Some((claim, value)) = word.split_once('=') {
            (rule.claim, rule.value) = (Some(claim.to_owned()), Some(value.to_owned()));
        } else if let Some(name) = word.strip_prefix("header:") {
            rule.sticky = Sticky::Header(name.to_owned());
        } else {
            return Err(format!("`{word}`: write organization=NAME, CLAIM=VALUE, N% or header:NAME"));
        }
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() {
        let read = rule("3 plan=pro 25% header:x-user").expect("a rule");
        assert_eq!((read.version, read.claim.as_deref(), read.value.as_deref()), (3, Some("plan"), Some("pro")));
        assert_eq!((read.percent, read.sticky), (25.0, Sticky::Header("x-user".into())));
        assert_eq!(rule("4 organization=acme").expect("a rule").organization.as_deref(), Some("acme"));
        for wrong in ["", "x", "3 pro", "3 x%"] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
    }
}
