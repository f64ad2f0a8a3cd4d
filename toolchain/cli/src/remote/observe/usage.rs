//! `elias usage` and `elias adoption`: what tenants used by hours, and by how many people the platform is used.

use crate::remote::connection::client::{Client, items};
use crate::remote::connection::output::{self, bytes, number, time};
use crate::remote::triggers::moment;
use clap::Args;
use elias_api::{AdoptionWeek, SdkVersion, UsageRecord};
use elias_command_line::text::print;
use elias_command_line::{CliErrorCode, Failure, Target};
use serde_json::Value;

/// The arguments of `usage`.
#[derive(Debug, Args)]
pub(crate) struct UsageArguments {
    /// Show hours that begin at this time (RFC 3339) or later, or this duration ago, such as 7d
    #[arg(long, value_name = "TIME", value_parser = moment, default_value = "1d")]
    since: i64,
    /// Show hours that begin before this time (RFC 3339) only, or this duration ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<i64>,
    /// Show the usage of all tenants, for platform operators
    #[arg(long)]
    all: bool,
    /// Print CSV, with the names of the columns in the first line
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Maximum number of hours, oldest first
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

/// The arguments of `adoption`.
#[derive(Debug, Args)]
pub(crate) struct AdoptionArguments {
    /// Number of weeks, the present one included
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=52))]
    weeks: u32,
    #[command(flatten)]
    target: Target,
}

/// Shows the usage by hours.
pub(crate) fn usage(arguments: &UsageArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let mut url = if arguments.all { client.host_url(&["usage"]) } else { client.tenant_url(&["usage"]) };
    url.query_pairs_mut().append_pair("from", &arguments.since.to_string());
    if let Some(until) = arguments.until {
        url.query_pairs_mut().append_pair("to", &until.to_string());
    }
    let response = client.list(&url, arguments.limit)?;
    if arguments.csv {
        print(&csv(&response, arguments.limit)?);
        return Ok(());
    }
    let row = |usage: UsageRecord| {
        [
            time(usage.hour_at),
            usage.tenant.to_string(),
            number(usage.executions),
            number(usage.fuel),
            bytes(usage.bytes_in),
            bytes(usage.bytes_out),
            bytes(usage.storage_bytes),
            if usage.is_closed { String::new() } else { "open".to_owned() },
        ]
    };
    let header = ["hour", "tenant", "executions", "fuel", "in", "out", "stored", ""];
    output::print_list(arguments.target.json, &response, header, row)
}

/// The CSV file of a list. A bill of a part of the hours would be wrong, and nothing in the file would say so.
fn csv(response: &Value, limit: usize) -> Result<String, Failure> {
    if !response["next"].is_null() {
        let message = format!("there are more than {limit} hours: name a shorter time, or a larger --limit");
        return Err(Failure::new(CliErrorCode::BadInput, message));
    }
    let hours: Vec<UsageRecord> = items(response)?;
    let lines = hours.iter().map(UsageRecord::to_csv);
    Ok(std::iter::once(UsageRecord::CSV_HEADER.to_owned()).chain(lines).collect())
}

/// Shows the adoption by weeks.
pub(crate) fn adoption(arguments: &AdoptionArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let mut url = client.tenant_url(&["adoption"]);
    url.query_pairs_mut().append_pair("weeks", &arguments.weeks.to_string());
    let response = client.get(url)?;
    let row = |week: AdoptionWeek| {
        [
            // The day will do.
            time(week.week_at).chars().take(10).collect(),
            number(week.active_components),
            number(week.authors),
            number(week.deployments),
            week.sdk_versions.iter().map(sdk).collect::<Vec<_>>().join(", "),
        ]
    };
    let header = ["week of", "active components", "authors", "deployments", "built by"];
    output::print_list(arguments.target.json, &response, header, row)
}

fn sdk(version: &SdkVersion) -> String {
    let builder = if version.builder.is_empty() { "other toolchains" } else { &version.builder };
    format!("{builder} ({})", version.components)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_csv_file_has_all_hours_or_none() {
        let hour = json!({
            "tenant": "acme", "hour_at": 0, "executions": 3, "fuel": 40, "bytes_in": 5, "bytes_out": 6,
            "storage_bytes": 7, "is_closed": true,
        });
        let whole = csv(&json!({ "items": [hour], "next": null }), 1).expect("a file");
        assert_eq!(whole, format!("{}acme,0,3,40,5,6,7,true\r\n", UsageRecord::CSV_HEADER));
        assert!(csv(&json!({ "items": [hour], "next": "0/acme" }), 1).is_err());
    }

    #[test]
    fn a_release_has_the_components_that_it_built() {
        let version = |builder: &str| SdkVersion { builder: builder.to_owned(), components: 3 };
        assert_eq!(sdk(&version("elias-build 0.1.0")), "elias-build 0.1.0 (3)");
        assert_eq!(sdk(&version("")), "other toolchains (3)");
    }
}
