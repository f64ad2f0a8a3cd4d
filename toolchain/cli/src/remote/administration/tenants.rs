//! `elias tenants`: the settings of tenants, for platform operators.

use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, time};
use crate::remote::packages::{self, PolicyFlags};
use clap::{Args, Subcommand};
use elias_api::{Ceiling, Quotas, Tenant, TenantSettings};
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::TenantId;
use serde::Deserialize;
use serde_json::{Value, json};

/// The most tenants that are listed.
const LISTED_MAX: usize = 100_000;

/// The arguments of `tenants`.
#[derive(Debug, Args)]
pub(crate) struct TenantsArguments {
    #[command(subcommand)]
    command: TenantsCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum TenantsCommand {
    /// List the tenants
    List,
    /// Create a tenant
    Create {
        /// Tenant name, part of the host names of its components
        name: TenantId,
        #[command(flatten)]
        flags: SettingsFlags,
    },
    /// Show a tenant's settings
    Show {
        /// Tenant name
        name: TenantId,
    },
    /// Change the given settings of a tenant
    Set {
        /// Tenant name
        name: TenantId,
        #[command(flatten)]
        flags: SettingsFlags,
    },
    /// List the maximum values that a tenant's versions may request in elias.toml
    Ceilings {
        /// Tenant name
        name: TenantId,
    },
    /// Delete a tenant and stop all its components
    Delete {
        /// Tenant name
        name: TenantId,
    },
}

/// The settings of a tenant that are given. A list takes the place of the one before; an empty name makes it empty.
#[derive(Debug, Clone, Default, Args)]
struct SettingsFlags {
    /// Host that routes may use, such as shop.example.com or *.example.com; repeatable, replaces the whole list
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// Capability that components may use; repeatable, replaces the whole list
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,
    /// SHA-256 of an engine that components may contain; repeatable, replaces the whole list
    #[arg(long = "engine", value_name = "SHA256")]
    engines: Vec<String>,
    /// Allow grants for servers, addresses and files of the host's network; --trusted=false turns it off
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    trusted: Option<bool>,
    /// Require signatures of versions; --require-signature=false turns it off
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    require_signature: Option<bool>,
    /// URL of an OpenTelemetry collector that the spans of its executions are sent to; --otlp-endpoint= for none
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    packages: PolicyFlags,
    /// Maximum that versions may request for a key of elias.toml, such as capabilities.db.connections=4 or
    /// limits.fuel=100000000; KEY= restores the platform's; repeatable
    #[arg(long = "ceiling", value_name = "KEY=N", value_parser = ceiling)]
    ceilings: Vec<(String, Option<u64>)>,
    /// Server that speaks Sentry's protocol and gets the tenant's failures; an empty one removes it
    #[arg(long, value_name = "DSN")]
    sentry_dsn: Option<String>,
    /// Quota, such as versions=50, storage-bytes=1000000000, executions-per-minute=600 or action=queue; 0: unlimited;
    /// repeatable
    #[arg(long = "quota", value_name = "NAME=N", value_parser = quota)]
    quotas: Vec<(String, Value)>,
}

fn quota(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=N")?;
    let value = value.parse::<u64>().map_or_else(|_| Value::from(value), Value::from);
    Ok((name.to_owned(), value))
}

fn ceiling(text: &str) -> Result<(String, Option<u64>), String> {
    match text.strip_suffix('=') {
        Some(key) => Ok((key.to_owned(), None)),
        None => elias_command_line::ceiling(text).map(|(key, number)| (key, Some(number))),
    }
}

impl SettingsFlags {
    /// Lets the flags override what `settings` say.
    fn apply(&self, settings: &mut TenantSettings) -> Result<(), Failure> {
        for (given, list) in [
            (&self.hosts, &mut settings.hosts),
            (&self.capabilities, &mut settings.capabilities),
            (&self.engines, &mut settings.engines),
        ] {
            if !given.is_empty() {
                *list = given.iter().filter(|name| !name.is_empty()).cloned().collect();
            }
        }
        settings.trusted = self.trusted.unwrap_or(settings.trusted);
        settings.require_signature = self.require_signature.unwrap_or(settings.require_signature);
        if let Some(endpoint) = &self.otlp_endpoint {
            settings.otlp_endpoint = Some(endpoint.clone()).filter(|endpoint| !endpoint.is_empty());
        }
        self.packages.apply(&mut settings.packages)?;
        for (key, ceiling) in &self.ceilings {
            match ceiling {
                Some(ceiling) => settings.ceilings.insert(key.clone(), *ceiling),
                None => settings.ceilings.remove(key),
            };
        }
        if let Some(dsn) = &self.sentry_dsn {
            settings.sentry_dsn = Some(dsn.clone()).filter(|dsn| !dsn.is_empty());
        }
        let bad =
            |error: &dyn std::fmt::Display| Failure::new(CliErrorCode::BadInput, format_args!("--quota: {error}"));
        let mut quotas = serde_json::to_value(settings.quotas).map_err(|error| bad(&error))?;
        if let Some(quotas) = quotas.as_object_mut() {
            quotas.extend(self.quotas.iter().cloned());
        }
        settings.quotas = Quotas::deserialize(quotas).map_err(|error| bad(&error))?;
        settings.check().map_err(|error| Failure::new(error.code().as_str(), error))
    }
}

/// Lists, makes, shows, changes and deletes tenants.
pub(crate) fn tenants(arguments: &TenantsArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    let all = client.host_url(&["tenants"]);
    let one = |name: &TenantId| client.host_url(&["tenants", name.as_str()]);
    match &arguments.command {
        TenantsCommand::List => {
            let response = client.list(&all, LISTED_MAX)?;
            let row = |tenant: Tenant| {
                let TenantSettings { trusted, require_signature, hosts, .. } = tenant.settings;
                [
                    tenant.tenant.to_string(),
                    time(tenant.created_at),
                    yes(trusted),
                    yes(require_signature),
                    hosts.join(", "),
                ]
            };
            let header = ["tenant", "since", "trusted", "signed only", "hosts"];
            output::print_list(json, &response, header, row)
        }
        TenantsCommand::Create { name, flags } => {
            let mut settings = TenantSettings::default();
            flags.apply(&mut settings)?;
            let response = client.post(all, &json!({ "tenant": name, "settings": settings }))?;
            output::print_item(json, &response, |tenant: Tenant| describe(&tenant))
        }
        TenantsCommand::Show { name } => {
            let response = client.get(one(name))?;
            output::print_item(json, &response, |tenant: Tenant| describe(&tenant))
        }
        TenantsCommand::Set { name, flags } => {
            let Tenant { mut settings, revision, .. } = read(&client.get(one(name))?)?;
            flags.apply(&mut settings)?;
            let response = client.put_at(one(name), &settings, revision)?;
            output::print_item(json, &response, |tenant: Tenant| describe(&tenant))
        }
        TenantsCommand::Ceilings { name } => {
            let response = client.get(client.host_url(&["tenants", name.as_str(), "ceilings"]))?;
            let or_none =
                |number: Option<u64>, none: &str| number.map_or_else(|| none.to_owned(), |number| number.to_string());
            let row = |Ceiling { key, ceiling, default, own }: Ceiling| {
                let of = if own { "the tenant's" } else { "the host's" };
                [key, or_none(ceiling, "none"), or_none(default, ""), ceiling.map_or("", |_| of).to_owned()]
            };
            output::print_list(json, &response, ["key", "ceiling", "default", "set as"], row)
        }
        TenantsCommand::Delete { name } => {
            let response = client.delete(one(name))?;
            output::print_done(json, &response, &format!("tenant {name} is deleted; its name stays taken"))
        }
    }
}

fn yes(yes: bool) -> String {
    String::from(if yes { "yes" } else { "no" })
}

fn describe(tenant: &Tenant) -> String {
    let settings = &tenant.settings;
    let quotas = serde_json::to_value(settings.quotas).unwrap_or_default();
    let quotas = quotas.as_object().into_iter().flatten().map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name}={text}"),
        None => format!("{name}={value}"),
    });
    let ceilings = settings.ceilings.iter().map(|(key, ceiling)| format!("{key}={ceiling}"));
    output::facts([
        ("tenant", tenant.tenant.to_string()),
        ("since", time(tenant.created_at)),
        ("trusted", yes(settings.trusted)),
        ("signed only", yes(settings.require_signature)),
        ("capabilities", settings.capabilities.join(", ")),
        ("hosts", settings.hosts.join(", ")),
        ("engines", settings.engines.join(", ")),
        ("packages", packages::describe(&settings.packages)),
        ("its own say", packages::describe(&settings.own_packages)),
        ("ceilings", ceilings.collect::<Vec<_>>().join(" ")),
        ("quotas", quotas.collect::<Vec<_>>().join(" ")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        settings: SettingsFlags,
    }

    fn apply(line: &str, mut settings: TenantSettings) -> Result<TenantSettings, String> {
        let flags = Flags::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        flags.settings.apply(&mut settings).map_err(|failure| failure.to_string())?;
        Ok(settings)
    }

    #[test]
    fn what_is_not_said_stays() {
        let before = TenantSettings { trusted: true, hosts: vec!["a.example".into()], ..TenantSettings::default() };
        assert_eq!(apply("elias", before.clone()), Ok(before.clone()));
        let line = "elias --trusted=false --require-signature --host b.example --host *.c.example --quota versions=5 \
            --quota action=queue";
        let after = apply(line, before.clone()).expect("it is good");
        assert!(!after.trusted && after.require_signature);
        assert_eq!(after.hosts, ["b.example", "*.c.example"]);
        let quotas = (after.quotas.versions, after.quotas.action, after.quotas.components);
        assert_eq!(quotas, (5, elias_api::QuotaAction::Queue, before.quotas.components));
        let kept = apply("elias --quota trigger-bytes=5000 --quota event-retention=30", before.clone()).expect("good");
        assert_eq!((kept.quotas.trigger_bytes, kept.quotas.event_retention), (5_000, 30));
        let capped =
            apply("elias --ceiling limits.fuel=5 --ceiling capabilities.db.rows=7", before.clone()).expect("good");
        assert_eq!(capped.ceilings.get("limits.fuel"), Some(&5));
        let kept = apply("elias --ceiling limits.fuel=", capped).expect("good").ceilings;
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), [("capabilities.db.rows".to_owned(), 7)]);
        let collected = apply("elias --otlp-endpoint https://otlp.example.com", before.clone()).expect("good");
        assert_eq!(collected.otlp_endpoint.as_deref(), Some("https://otlp.example.com"));
        assert_eq!(apply("elias --otlp-endpoint=", collected), Ok(before.clone()));
        assert!(apply("elias --host ", before).expect("an empty list").hosts.is_empty());
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for line in [
            "elias --quota x",
            "elias --quota x=1",
            "elias --quota versions=many",
            "elias --host A_B",
            "elias --trusted=so",
            "elias --otlp-endpoint otlp.example.com",
            "elias --ceiling limits.fuel",
            "elias --ceiling limits.fuel=-1",
        ] {
            assert!(apply(line, TenantSettings::default()).is_err(), "{line}");
        }
    }
}
