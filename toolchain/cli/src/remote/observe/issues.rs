//! Issues, which are groups of failures: `elias issues`.

use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, number, time};
use crate::remote::triggers::moment;
use clap::{Args, Subcommand};
use elias_api::{Issue, IssueChange, IssueState, IssueTotals, SourcePlace};
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::{ComponentName, Environment};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bars of the sparkline in a list.
const LINE_POINTS: usize = 14;

/// The arguments of `issues`.
#[derive(Debug, Args)]
pub(crate) struct IssuesArguments {
    #[command(subcommand)]
    command: IssuesCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum IssuesCommand {
    /// List issues, the one that occurred last first
    List(ListArguments),
    /// Show an issue with its place in the source and sample executions
    Show {
        /// Issue id
        id: String,
    },
    /// Resolve an issue; it is regressed when it occurs in a later version
    Resolve {
        /// Issue id
        id: String,
        /// Last version that may have it [default: the newest in which it occurred]
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
    /// Ignore an issue, for ever or for some time
    Ignore {
        /// Issue id
        id: String,
        /// Number of further occurrences after which it is new again
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// Time after which it is new again, such as 2h or 7days
        #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
        time: Option<Duration>,
    },
    /// Assign an issue to a user
    Assign {
        /// Issue id
        id: String,
        /// User, such as an id of `elias users` or an e-mail address [default: nobody]
        user: Option<String>,
    },
    /// Make an issue new again that was resolved or ignored
    Reopen {
        /// Issue id
        id: String,
    },
}

/// The arguments of `issues list`.
#[derive(Debug, Args)]
struct ListArguments {
    /// List issues in this state only: new, regressed, resolved or ignored; repeatable
    #[arg(long, value_name = "STATE")]
    state: Vec<IssueState>,
    /// List issues of this component only
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentName>,
    /// List issues in this environment only: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// List issues with this text in title, file or function only
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// List issues that occurred since this time only (RFC 3339), or in this duration until now, such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<i64>,
    /// Maximum number of entries
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Lists, shows and changes issues.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn issues(arguments: &IssuesArguments) -> Result<(), Failure> {
    let IssuesArguments { command, target } = arguments;
    let client = Client::of(target)?;
    let change = |id: &str, change: &IssueChange, done: &str| {
        let response = client.patch(client.tenant_url(&["issues", id]), change)?;
        output::print_done(target.json, &response, &format!("issue {} is {done}", plain(id)))
    };
    let state = |state| IssueChange { state: Some(state), ..IssueChange::default() };
    match command {
        IssuesCommand::List(arguments) => list(&client, arguments, target.json),
        IssuesCommand::Show { id } => {
            let response = client.get(client.tenant_url(&["issues", id]))?;
            output::print_item(target.json, &response, |issue: Issue| format_issue(&issue))
        }
        IssuesCommand::Resolve { id, version } => {
            change(id, &IssueChange { version: *version, ..state(IssueState::Resolved) }, "resolved")
        }
        IssuesCommand::Ignore { id, count, time } => {
            let until = time.map(after_now).transpose()?;
            change(id, &IssueChange { for_count: *count, until, ..state(IssueState::Ignored) }, "ignored")
        }
        IssuesCommand::Assign { id, user } => {
            let done = user
                .as_ref()
                .map_or_else(|| "assigned to nobody".to_owned(), |user| format!("assigned to {}", plain(user)));
            change(id, &IssueChange { assigned_to: Some(user.clone()), ..IssueChange::default() }, &done)
        }
        IssuesCommand::Reopen { id } => change(id, &state(IssueState::New), "new again"),
    }
}

fn list(client: &Client, arguments: &ListArguments, json: bool) -> Result<(), Failure> {
    let ListArguments { state, component, environment, text, since, limit } = arguments;
    let mut url = client.tenant_url(&["issues"]);
    {
        let mut query = url.query_pairs_mut();
        if !state.is_empty() {
            query.append_pair("state", &state.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(","));
        }
        if let Some(component) = component {
            query.append_pair("component", component.as_str());
        }
        if let Some(environment) = environment {
            query.append_pair("environment", environment.as_str());
        }
        if let Some(text) = text {
            query.append_pair("text", text);
        }
        if let Some(since) = since {
            query.append_pair("since", &since.to_string());
        }
    }
    let response = client.list(&url, *limit)?;
    let row = |issue: Issue| {
        let state = format_state(&issue);
        [
            issue.id,
            state,
            number(issue.count),
            sparkline(&issue.hours, LINE_POINTS),
            time(issue.last_seen.at),
            format!("{} {}", issue.component, issue.environment),
            issue.place.as_ref().map(format_place).unwrap_or_default(),
            issue.title,
        ]
    };
    let header = ["issue", "state", "count", "7 days", "last seen", "component", "at", "message"];
    output::print_list(json, &response, header, row)?;
    if !json {
        warn_of_others(client)?;
    }
    Ok(())
}

/// Says on standard error how many failures are in no issue, if there are any.
fn warn_of_others(client: &Client) -> Result<(), Failure> {
    let totals: IssueTotals = read(&client.get(client.tenant_url(&["issues", "totals"]))?)?;
    if totals.folded > 0 {
        eprintln!("{} further failures are in no issue: there are as many as there can be", number(totals.folded));
    }
    if totals.unrecorded > 0 {
        eprintln!("{} further failures were not recorded: too many in a second", number(totals.unrecorded));
    }
    Ok(())
}

fn format_issue(issue: &Issue) -> String {
    let seen = |seen: &elias_api::IssueOccurrence| {
        format!("{}, version {}, execution {}", time(seen.at), seen.version, seen.execution)
    };
    let mut text = output::facts([
        ("issue", issue.id.clone()),
        ("message", issue.title.clone()),
        ("code", issue.code.clone().unwrap_or_default()),
        ("at", issue.place.as_ref().map(format_place).unwrap_or_default()),
        ("component", format!("{} in {}", issue.component, issue.environment)),
        ("state", format_state(issue)),
        ("assigned to", issue.assigned_to.clone().unwrap_or_default()),
        ("count", number(issue.count)),
        ("7 days", sparkline(&issue.hours, 4 * LINE_POINTS)),
        ("first seen", seen(&issue.first_seen)),
        ("last seen", seen(&issue.last_seen)),
        ("executions", issue.samples.join(" ")),
    ]);
    if let (Some(source), Some(place)) = (&issue.source, &issue.place) {
        text.push('\n');
        for (line, number) in source.lines.iter().zip(source.first_line..) {
            let mark = if number == place.line { '>' } else { ' ' };
            text.push_str(format!("{mark} {number:>5}  {}", plain(line)).trim_end());
            text.push('\n');
        }
    }
    text
}

fn format_state(issue: &Issue) -> String {
    let mut text = match (issue.state, issue.version) {
        (IssueState::Regressed, Some(version)) => format!("regressed in {version}"),
        (IssueState::Resolved, Some(version)) => format!("resolved after {version}"),
        (state, _) => state.to_string(),
    };
    if let Some(count) = issue.until_count {
        text.push_str(&format!(" until {} occurrences", number(count)));
    }
    if let Some(until) = issue.until {
        text.push_str(&format!(" until {}", time(until)));
    }
    text
}

fn format_place(place: &SourcePlace) -> String {
    let SourcePlace { function, file, line, .. } = place;
    match function {
        Some(function) => format!("{file}:{line} {function}"),
        None => format!("{file}:{line}"),
    }
}

/// Numbers as a line of bars, each the sum of some of them; a dot for none.
fn sparkline(numbers: &[u64], points: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let sums: Vec<u64> = numbers.chunks(numbers.len().div_ceil(points).max(1)).map(|part| part.iter().sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(0).max(1);
    let bar = |sum: u64| match sum {
        0 => '·',
        // At least the lowest, and the highest for the most.
        _ => BARS[((u128::from(sum) * 8).div_ceil(u128::from(most)) as usize).clamp(1, 8) - 1],
    };
    sums.into_iter().map(bar).collect()
}

fn after_now(time: Duration) -> Result<i64, Failure> {
    let until = SystemTime::now().checked_add(time).and_then(|until| until.duration_since(UNIX_EPOCH).ok());
    let ms = until.and_then(|until| i64::try_from(until.as_millis()).ok());
    ms.ok_or_else(|| Failure::new(CliErrorCode::BadInput, "--for: the time is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn issue(title: &str) -> Issue {
        let seen = json!({ "at": 0, "version": 3, "execution": "01J" });
        let place = json!({ "function": "load", "file": "src/a.ts", "line": 7, "column": 1 });
        read(&json!({
            "id": "00ff", "component": "shop", "environment": "production", "code": "exception", "title": title,
            "place": place, "state": "resolved", "version": 4, "until_count": null, "until": null,
            "assigned_to": "ada", "count": 1234, "first_seen": seen, "last_seen": seen, "newest_version": 4,
            "hours": [0, 0, 1], "samples": ["01J"], "revision": 2,
            "source": { "first_line": 6, "lines": ["a();", "\u{1b}[2Jb();"] }
        }))
        .expect("it is as the API writes it")
    }

    #[test]
    fn an_issue_is_shown_with_its_source_and_steers_no_terminal() {
        let text = format_issue(&issue("Error: \u{1b}[2J\n<b>"));
        assert!(text.contains("resolved after 4") && text.contains("src/a.ts:7 load"), "{text}");
        assert!(text.contains(">     7  \\u{1b}[2Jb();") && text.contains("      6  a();"), "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("1,234"), "{text}");
    }

    #[test]
    fn a_sparkline_has_a_bar_for_each_part() {
        assert_eq!(sparkline(&[0, 1, 8], 3), "·▁█");
        assert_eq!(sparkline(&[1, 1, 0, 0, 2, 2], 3), "▄·█");
        assert_eq!((sparkline(&[], 3), sparkline(&[0; 168], 14)), (String::new(), "·".repeat(14)));
        assert_eq!(sparkline(&[u64::MAX], 1), "█");
    }
}
