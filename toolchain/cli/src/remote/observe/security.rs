//! Security events: `elias security`.

use crate::remote::connection::client::Client;
use crate::remote::connection::output::{self, number, time};
use crate::remote::triggers::moment;
use clap::{Args, Subcommand, ValueEnum};
use elias_api::{SecurityEvent, SecurityKind};
use elias_command_line::{Failure, Target};

/// The arguments of `security`.
#[derive(Debug, Args)]
pub(crate) struct SecurityArguments {
    #[command(subcommand)]
    command: SecurityCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum SecurityCommand {
    /// List security events, those of the newest hour first
    Events {
        /// List events of this kind only
        #[arg(long, value_name = "KIND")]
        kind: Option<Kind>,
        /// List events since this time only (RFC 3339), or in this duration until now, such as 2h
        #[arg(long, value_name = "TIME", value_parser = moment)]
        since: Option<i64>,
        /// Maximum number of entries
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
}

/// The kind of events, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Requests that a token does not allow
    Denied,
    /// Requests of components to servers that they are not granted
    EgressRefused,
    /// Tokens that are not valid
    SignInFailed,
    /// Limits and quotas that were reached
    LimitHit,
}

impl Kind {
    fn of(kind: SecurityKind) -> Self {
        match kind {
            SecurityKind::Denied => Self::Denied,
            SecurityKind::EgressRefused => Self::EgressRefused,
            SecurityKind::SignInFailed => Self::SignInFailed,
            SecurityKind::LimitHit => Self::LimitHit,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Lists security events.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn security(arguments: &SecurityArguments) -> Result<(), Failure> {
    let SecurityArguments { command: SecurityCommand::Events { kind, since, limit }, target } = arguments;
    let client = Client::of(target)?;
    let mut url = client.tenant_url(&["security-events"]);
    if let Some(kind) = kind {
        url.query_pairs_mut().append_pair("kind", &kind.name());
    }
    if let Some(since) = since {
        url.query_pairs_mut().append_pair("since", &since.to_string());
    }
    let response = client.list(&url, *limit)?;
    let row = |event: SecurityEvent| {
        let component = event.component.as_ref().map(ToString::to_string).unwrap_or_default();
        let environment = event.environment.map(|environment| format!(" {environment}")).unwrap_or_default();
        [
            time(event.last_at),
            Kind::of(event.kind).name(),
            number(event.count),
            event.actor,
            event.address,
            format!("{component}{environment}"),
            event.subject,
            event.code,
        ]
    };
    let header = ["last", "kind", "count", "who", "from", "component", "what", "code"];
    output::print_list(target.json, &response, header, row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_typed_as_the_api_names_them() {
        for kind in Kind::value_variants() {
            let api: SecurityKind = serde_json::from_value(kind.name().into()).expect("the API knows it");
            assert_eq!(Kind::of(api), *kind);
        }
    }
}
