//! `elias metrics`: the metrics of services over time, as lines of blocks.

use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, bytes, duration, number, time};
use crate::remote::triggers::moment;
use clap::Args;
use elias_api::{MetricName, MetricSeries, ServiceSeries};
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};
use std::time::Duration;

/// The blocks of a line, from the lowest value to the highest.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Blocks of a line at most; of more steps some share a block.
const BLOCKS_MAX: usize = 60;

/// The arguments of `metrics`.
#[derive(Debug, Args)]
pub(crate) struct MetricsArguments {
    /// Metric: requests, runs, worker-turns, errors, error-rate, latency-p50, latency-p95, latency-p99, latency-mean,
    /// fuel, memory-max, queue-age, dead-letters, pool-wait or pool-wait-max
    #[arg(value_name = "METRIC", default_value = "requests")]
    metric: MetricName,
    /// Show services of this component only
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentName>,
    /// Show services in this environment only: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    environment: Option<Environment>,
    /// Begin at this time (RFC 3339), or this duration ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = moment, default_value = "1h")]
    since: i64,
    /// Length of a step, such as 5m [default: 1m; 1h for a time more than 24 hours ago, or of more than 3 hours without
    /// --component]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    step: Option<Duration>,
    #[command(flatten)]
    target: Target,
}

/// Shows a metric of the services.
pub(crate) fn metrics(arguments: &MetricsArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let mut url = client.tenant_url(&["metrics"]);
    let mut query = url.query_pairs_mut();
    query.append_pair("metric", arguments.metric.as_str()).append_pair("from", &arguments.since.to_string());
    if let Some(component) = &arguments.component {
        query.append_pair("component", component.as_str());
    }
    if let Some(environment) = arguments.environment {
        query.append_pair("environment", environment.as_str());
    }
    if let Some(step) = arguments.step {
        query.append_pair("step", &step.as_millis().to_string());
    }
    drop(query);
    let response = client.get(url)?;
    output::print_response(arguments.target.json, &response, || Ok(format(&read(&response)?)))
}

fn format(series: &MetricSeries) -> String {
    let row = |service: &ServiceSeries| {
        let values = &service.values;
        let most = values.iter().flatten().copied().reduce(f64::max);
        let last = values.iter().rev().find_map(|value| *value);
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| figure(value, series));
        let component = service.component.as_ref().map_or_else(|| "(others)".to_owned(), ToString::to_string);
        let environment = service.environment.map_or_else(String::new, |environment| environment.to_string());
        [component, environment, sparkline(values), shown(last), shown(most)]
    };
    let step = humantime::format_duration(Duration::from_millis(series.step));
    let mut text = format!("{} from {} on, a step is {step}\n", series.metric, time(series.from));
    text.push_str(&output::table(["component", "env", "", "last", "most"], series.items.iter().map(row)));
    if series.left_out > 0 {
        text.push_str(&format!(
            "(others) are {} services beyond the tenant's budget of series\n",
            number(series.left_out)
        ));
    }
    text
}

/// A value in its unit, for people.
fn figure(value: f64, series: &MetricSeries) -> String {
    // Values are not negative; what is more than a number can be is the largest.
    let whole = value.round() as u64;
    match series.unit.as_str() {
        "s" => duration((value * 1e6).round() as u64),
        "By" => bytes(whole),
        _ if value.fract() == 0.0 => number(whole),
        _ => format!("{value:.3}"),
    }
}

/// Values as blocks, the highest one as the largest; a space where there is none.
fn sparkline(values: &[Option<f64>]) -> String {
    let size = values.len().div_ceil(BLOCKS_MAX).max(1);
    let merged: Vec<Option<f64>> =
        values.chunks(size).map(|chunk| chunk.iter().flatten().copied().reduce(f64::max)).collect();
    let most = merged.iter().flatten().copied().fold(0.0, f64::max);
    let block = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if most > 0.0 => {
            let at = (value / most * (BLOCKS.len() - 1) as f64).round() as usize;
            BLOCKS[at.min(BLOCKS.len() - 1)]
        }
        Some(_) => BLOCKS[0],
    };
    merged.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(metric: MetricName, values: Vec<Option<f64>>) -> MetricSeries {
        let (component, environment) = (Some("shop".parse().expect("a name")), Some(Environment::Production));
        let items = vec![ServiceSeries { component, environment, values }];
        MetricSeries { metric, unit: metric.unit().to_owned(), from: 0, step: 60_000, items, left_out: 0 }
    }

    #[test]
    fn values_are_blocks_as_high_as_their_share_of_the_highest() {
        assert_eq!(sparkline(&[Some(0.0), Some(3.5), None, Some(7.0)]), "▁▅ █");
        assert_eq!((sparkline(&[]), sparkline(&[Some(0.0), Some(0.0)])), (String::new(), "▁▁".to_owned()));
        let many: Vec<_> = (0..1_440).map(|at| Some(f64::from(at))).collect();
        assert_eq!(sparkline(&many).chars().count(), BLOCKS_MAX);
    }

    #[test]
    fn figures_have_their_unit() {
        let text = |metric, value| figure(value, &series(metric, Vec::new()));
        assert_eq!(text(MetricName::Requests, 1_234.0), "1,234");
        assert_eq!(text(MetricName::ErrorRate, 0.0626), "0.063");
        assert_eq!(text(MetricName::LatencyP99, 0.0125), "12.5 ms");
        assert_eq!(text(MetricName::MemoryMax, 1_500_000.0), "1.5 MB");
    }

    #[test]
    fn a_service_has_a_line_and_those_beyond_the_budget_are_told() {
        let mut shown = series(MetricName::Requests, vec![Some(1.0), None, Some(2.0), None]);
        let rest = ServiceSeries { component: None, environment: None, values: vec![Some(0.0); 4] };
        shown.items.push(rest);
        shown.left_out = 7;
        let text = format(&shown);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "requests from 1970-01-01T00:00:00Z on, a step is 1m");
        assert!(lines[2].starts_with("shop") && lines[2].ends_with("2     2"), "{text}");
        assert!(lines[3].starts_with("(others)") && lines[4].contains("7 services"), "{text}");
    }
}
