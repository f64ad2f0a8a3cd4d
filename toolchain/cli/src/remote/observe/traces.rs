//! Traces: `elias traces`.

use crate::remote::connection::client::Client;
use crate::remote::connection::output::{self, duration, time};
use clap::{Args, Subcommand};
use elias_api::{ExecutionTrace, Span, Trace, TraceSummary};
use elias_command_line::text::plain;
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};
use std::collections::{HashMap, HashSet};

/// The arguments of `traces`.
#[derive(Debug, Args)]
pub(crate) struct TracesArguments {
    #[command(subcommand)]
    command: TracesCommand,
}

#[derive(Debug, Subcommand)]
enum TracesCommand {
    /// List traces, newest first
    List(ListArguments),
    /// Show a trace as a tree of spans
    Show {
        /// Trace id, or a traceparent
        trace: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
struct ListArguments {
    /// List traces with an execution of this component only
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentName>,
    /// List traces with an execution in this environment only: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// List traces with a failed execution only
    #[arg(long)]
    failed: bool,
    /// List traces with an execution that took at least this many milliseconds only
    #[arg(long, value_name = "MILLISECONDS")]
    min_duration_ms: Option<u32>,
    /// Maximum number of entries, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

/// Lists traces, or shows one.
pub(crate) fn traces(arguments: &TracesArguments) -> Result<(), Failure> {
    match &arguments.command {
        TracesCommand::List(arguments) => list(arguments),
        TracesCommand::Show { trace, target } => {
            let client = Client::of(target)?;
            let response = client.get(client.tenant_url(&["traces", trace]))?;
            output::print_item(target.json, &response, |trace: Trace| format_trace(&trace))
        }
    }
}

fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let mut url = client.tenant_url(&["traces"]);
    {
        let mut query = url.query_pairs_mut();
        if let Some(component) = &arguments.component {
            query.append_pair("component", component.as_str());
        }
        if let Some(environment) = arguments.environment {
            query.append_pair("environment", environment.as_str());
        }
        if arguments.failed {
            query.append_pair("failed", "true");
        }
        if let Some(milliseconds) = arguments.min_duration_ms {
            query.append_pair("min_duration_ms", &milliseconds.to_string());
        }
    }
    let response = client.list(&url, arguments.limit)?;
    let row = |trace: TraceSummary| {
        [
            trace.trace,
            time(i64::try_from(trace.started_us / 1_000).unwrap_or(i64::MAX)),
            format!("{} {}", trace.component, trace.environment),
            trace.name,
            duration(trace.duration_us),
            trace.executions.to_string(),
            trace.failed.to_string(),
        ]
    };
    let header = ["trace", "began", "component", "by", "took", "executions", "failed"];
    output::print_list(arguments.target.json, &response, header, row)
}

/// A span with the execution that it is of.
type Placed<'a> = (&'a Span, &'a ExecutionTrace);

/// The spans of a trace, each below the one that caused it: when it began after the first one, how long it took, and
/// what it was.
fn format_trace(trace: &Trace) -> String {
    let mut spans: Vec<Placed<'_>> =
        trace.executions.iter().flat_map(|of| of.spans.iter().map(move |span| (span, of))).collect();
    spans.sort_by_key(|(span, _)| (span.started_us, span.id.clone()));
    let known: HashSet<&str> = spans.iter().map(|(span, _)| span.id.as_str()).collect();
    let mut children: HashMap<&str, Vec<Placed<'_>>> = HashMap::new();
    let mut roots = Vec::new();
    for placed in &spans {
        // Below a span that is not kept, or of a program outside, nothing is known of what is above.
        match placed.0.parent.as_deref().filter(|parent| known.contains(parent) && *parent != placed.0.id) {
            Some(parent) => children.entry(parent).or_default().push(*placed),
            None => roots.push(*placed),
        }
    }
    let began = spans.first().map_or(0, |(span, _)| span.started_us);
    let mut text = format!("trace {}\n", plain(&trace.trace));
    let mut shown: HashSet<&str> = HashSet::new();
    // Those that are each other's parents, as somebody outside can have it, are below no root.
    for first in roots.into_iter().chain(spans.iter().copied()) {
        let mut waiting = vec![(first, 0)];
        while let Some(((span, execution), depth)) = waiting.pop() {
            if !shown.insert(span.id.as_str()) {
                continue;
            }
            text.push_str(&format_span(span, execution, depth, began));
            let below = children.remove(span.id.as_str()).unwrap_or_default();
            waiting.extend(below.into_iter().rev().map(|child| (child, depth + 1)));
        }
    }
    for execution in trace.executions.iter().filter(|execution| execution.left_out > 0) {
        let ExecutionTrace { execution, left_out, .. } = execution;
        text.push_str(&format!("{left_out} more calls of execution {} are not kept\n", plain(execution)));
    }
    if trace.is_cut {
        text.push_str("the trace has more executions than are shown\n");
    }
    text
}

/// The attributes that say what a span was about, the first that it has.
const SUBJECTS: [&str; 5] =
    ["url.path", "db.query.text", "server.address", "messaging.destination.name", "elias.worker.class"];
/// Levels that are shown as such; what is deeper is shown at the last.
const DEPTH_MAX: usize = 40;

fn format_span(span: &Span, execution: &ExecutionTrace, depth: usize, began: u64) -> String {
    let subject = SUBJECTS.iter().find_map(|name| span.attributes.get(*name)?.as_str());
    let status = span.attributes.get("http.response.status_code").map(ToString::to_string);
    let about = [subject.map(str::to_owned), status];
    let about: Vec<_> = about.into_iter().flatten().map(|text| plain(&text)).collect();
    let is_first = execution.spans.first().is_some_and(|first| first.id == span.id);
    let of = if is_first {
        format!("  [{} {} {}]", execution.component, execution.version, execution.environment)
    } else {
        String::new()
    };
    let message = span.message.as_deref().map(|message| format!(": {}", plain(message))).unwrap_or_default();
    let failed = if span.failed { format!("  FAILED{message}") } else { String::new() };
    let name = format!("{} {}", plain(&span.name), about.join(" "));
    format!(
        "{:>10} {:>10}  {}{}{of}{failed}\n",
        format!("+{}", duration(span.started_us.saturating_sub(began))),
        duration(span.duration_us),
        "  ".repeat(depth.min(DEPTH_MAX)),
        name.trim_end(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn span(id: &str, parent: Option<&str>, name: &str, started_us: u64) -> Span {
        Span {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            name: name.to_owned(),
            kind: "internal".to_owned(),
            started_us,
            duration_us: 500,
            failed: false,
            message: None,
            attributes: [("url.path".to_owned(), json!("/a\u{1b}[2J"))].into(),
        }
    }

    fn trace(spans: Vec<Vec<Span>>) -> Trace {
        let execution = |(number, spans): (usize, Vec<Span>)| ExecutionTrace {
            tenant: "acme".parse().expect("a name"),
            trace: "1".repeat(32),
            execution: format!("{number}"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
            version: 3,
            name: "GET /".to_owned(),
            started_us: 0,
            duration_us: 1,
            failed: false,
            left_out: u32::from(number == 1),
            spans,
        };
        let executions = spans.into_iter().enumerate().map(execution).collect();
        Trace { trace: "1".repeat(32), executions, is_cut: true }
    }

    #[test]
    fn spans_stand_below_what_caused_them_over_all_executions() {
        let first = vec![span("a", None, "GET", 1_000), span("b", Some("a"), "http", 2_000)];
        let second =
            vec![Span { failed: true, message: Some("x\ny".to_owned()), ..span("c", Some("b"), "GET", 2_100) }];
        let text = format_trace(&trace(vec![first, second]));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "     +0 us     500 us  GET /a\\u{1b}[2J  [shop 3 production]");
        assert_eq!(lines[2], "   +1.0 ms     500 us    http /a\\u{1b}[2J");
        assert_eq!(lines[3], "   +1.1 ms     500 us      GET /a\\u{1b}[2J  [shop 3 production]  FAILED: x\\ny");
        assert!(lines[4].starts_with("1 more calls of execution 1") && lines[5].contains("more executions"));
    }

    #[test]
    fn each_span_is_shown_once_whatever_its_parent_is() {
        let circle = vec![span("a", Some("b"), "a", 1), span("b", Some("a"), "b", 2), span("c", Some("c"), "c", 3)];
        let orphan = vec![span("d", Some("gone"), "d", 4), span("d", Some("gone"), "d again", 5)];
        let text = format_trace(&trace(vec![circle, orphan]));
        assert_eq!(text.lines().filter(|line| line.contains('+')).count(), 4, "{text}");
        let deep: Vec<_> =
            (0..1_000).map(|at| span(&format!("s{at}"), Some(&format!("s{}", at + 1)), "deep", 1_000 - at)).collect();
        assert!(format_trace(&trace(vec![deep])).lines().all(|line| line.len() < 200));
    }
}
