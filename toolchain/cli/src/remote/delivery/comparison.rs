//! The comparison of the variants of an experiment: `elias compare`.

use super::services::ServiceArguments;
use crate::remote::connection::client::Client;
use crate::remote::connection::output::{self, bytes, number, time};
use elias_command_line::Failure;
use elias_command_line::text::plain;
use elias_delivery::experiment::Experiment;
use serde::Deserialize;

/// Shows how the variants compare.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn compare(arguments: &ServiceArguments) -> Result<(), Failure> {
    let ServiceArguments { component, environment, target } = arguments;
    let client = Client::of(target)?;
    let response = client.get(client.service_url(component, environment, &["stages"]))?;
    output::print_item(target.json, &response, |found: Report| report(&found))
}

/// The report, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Report {
    component: String,
    environment: String,
    #[serde(rename = "stages")]
    experiment: Experiment,
    comparison: Comparison,
    #[serde(rename = "copies")]
    mirroring: Vec<MirroredRequests>,
}

#[derive(Debug, Deserialize)]
struct Comparison {
    #[serde(rename = "implementations")]
    variants: Vec<VariantMetrics>,
    differences: Vec<Difference>,
    better: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct VariantMetrics {
    name: String,
    requests: u64,
    failures: u64,
    latency_ms: Option<Interval>,
    fuel: Option<Interval>,
    memory_bytes: Option<Interval>,
    differing: Option<Interval>,
}

#[derive(Debug, Deserialize)]
struct Difference {
    name: String,
    verdict: String,
    reason: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Interval {
    estimate: f64,
    low: f64,
    high: f64,
}

#[derive(Debug, Deserialize)]
struct MirroredRequests {
    name: String,
    skipped: u64,
    differences: Vec<ResponseDifference>,
}

#[derive(Debug, Deserialize)]
struct ResponseDifference {
    at: i64,
    request: String,
    execution: String,
    what: String,
}

fn report(report: &Report) -> String {
    let rows = report.comparison.variants.iter().map(|one| {
        let within = |interval: Option<Interval>, show: &dyn Fn(f64) -> String| {
            let shown = interval.map(|interval| {
                format!("{} [{}, {}]", show(interval.estimate), show(interval.low), show(interval.high))
            });
            shown.unwrap_or_default()
        };
        [
            one.name.clone(),
            number(one.requests),
            number(one.failures),
            within(one.latency_ms, &|ms| format!("{ms:.2} ms")),
            within(one.fuel, &|fuel| number(fuel.max(0.0) as u64)),
            within(one.memory_bytes, &|memory| bytes(memory.max(0.0) as u64)),
            within(one.differing, &|share| format!("{:.1} %", share * 100.0)),
        ]
    });
    let mut text = output::table(["name", "requests", "failures", "latency", "fuel", "memory", "differing"], rows);
    text.push_str("means, with their 95 % intervals\n");
    for Difference { name, verdict, reason } in &report.comparison.differences {
        text.push_str(&format!("{}: {}: {}\n", plain(name), plain(verdict), plain(reason)));
    }
    for MirroredRequests { name, skipped, differences } in &report.mirroring {
        if *skipped > 0 {
            text.push_str(&format!("{}: {} mirrored requests were skipped\n", plain(name), number(*skipped)));
        }
        for ResponseDifference { at, request, execution, what } in differences {
            let line = format!("{name} differed {} for {request}: {what} (execution {execution})", time(*at));
            text.push_str(&format!("{}\n", plain(&line)));
        }
    }
    match (&report.comparison.better, &report.experiment.decision) {
        (Some(name), _) => {
            let line = format!(
                "{name} is better; serve it with: elias promote {} --to {} --stage {name}",
                report.component, report.environment
            );
            text.push_str(&format!("{}\n", plain(&line)));
        }
        (None, Some(decision)) => text.push_str(&format!("{}\n", plain(decision))),
        (None, None) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_is_shown_with_intervals_and_what_differed() {
        let interval = json!({ "estimate": 2.0, "low": 1.0, "high": 3.0 });
        let figures = |name: &str| {
            json!({ "name": name, "requests": 1200, "failures": 1, "latency-ms": interval, "fuel": interval,
                "memory-bytes": null,
                "error-rate": null, "differing": null })
        };
        let plan = json!({ "implementations": [{ "name": "stage1", "version": 1, "weight": 1 }] });
        let text = report(
            &serde_json::from_value(json!({
                "component": "shop", "environment": "production",
                "stages": { "id": "x", "plan": plan, "started-at": 0 },
                "comparison": { "confidence": 0.95, "implementations": [figures("stage1"), figures("stage2")],
                    "better": "stage2",
                    "differences": [{ "name": "stage2", "verdict": "better", "reason": "better in fuel, and not worse \
                    in anything" }] },
                "copies": [{ "name": "stage2", "skipped": 3, "differences": [
                    { "at": 0, "request": "GET /", "baseline": "a", "execution": "b", "what": "status: 200 and \
                        500" }] }],
            }))
            .expect("as the API writes it"),
        );
        for line in [
            "stage1  1,200     1         2.00 ms [1.00 ms, 3.00 ms]  2 [1, 3]",
            "stage2: better: better in fuel, and not worse in anything",
            "stage2: 3 mirrored requests were skipped",
            "stage2 differed 1970-01-01T00:00:00Z for GET /: status: 200 and 500 (execution b)",
            "stage2 is better; serve it with: elias promote shop --to production --stage stage2",
        ] {
            assert!(text.lines().any(|found| found.trim_end() == line), "{line}\n{text}");
        }
    }
}
