//! The options of a canary: its first share of the requests, and the further steps.

use clap::Args;
use elias_command_line::Failure;
use elias_delivery::rollout::{RolloutPlan, Sticky};
use elias_delivery::setting::InvalidSetting;
use std::time::Duration;

/// The steps in which a version gets its traffic.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CanaryArguments {
    /// Share of the requests, in percent, that the version gets first [default: 100, no canary]
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent, help_heading = "Canary")]
    canary: Option<f64>,
    /// Next shares, in percent [default: 25,50,100 as far as they are greater]
    #[arg(
        long = "step", value_name = "PERCENT,...", value_delimiter = ',', value_parser = parse_percent,
        requires = "canary",
        help_heading = "Canary"
    )]
    steps: Vec<f64>,
    /// Minimum duration of each step [default: 2m]
    #[arg(
        long, value_name = "DURATION", value_parser = humantime::parse_duration, requires = "canary",
        help_heading = "Canary"
    )]
    every: Option<Duration>,
    /// Minimum number of requests in each step [default: 50]
    #[arg(long, value_name = "N", requires = "canary", help_heading = "Canary")]
    requests: Option<u64>,
    /// Session affinity of clients to a version [default: none, each request is assigned at random]
    #[arg(
        long, value_name = "header:NAME|cookie:NAME|address", value_parser = parse_sticky, requires = "canary",
        help_heading = "Canary"
    )]
    sticky: Option<Sticky>,
}

impl CanaryArguments {
    /// The rollout plan of these options; none without `--canary`.
    ///
    /// # Errors
    /// `bad-configuration` for a value out of bounds.
    pub(crate) fn plan(&self) -> Result<Option<RolloutPlan>, Failure> {
        let Some(first) = self.canary else { return Ok(None) };
        let defaults = RolloutPlan::default();
        let mut steps = vec![first];
        if self.steps.is_empty() {
            steps.extend(defaults.steps.iter().filter(|step| **step > first));
        } else {
            // `--canary 10 --step 10,50` names the first one twice.
            steps.extend(
                self.steps
                    .iter()
                    .enumerate()
                    .filter(|(index, step)| *index > 0 || **step != first)
                    .map(|(_, step)| step),
            );
        }
        let plan = RolloutPlan {
            steps,
            every_ms: self
                .every
                .map_or(defaults.every_ms, |every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
            requests: self.requests.unwrap_or(defaults.requests),
            sticky: self.sticky.clone().unwrap_or_default(),
            ..defaults
        };
        plan.check().map_err(|error| {
            Failure::new(InvalidSetting::CODE, &error)
                .help("for example: --canary 10 --step 25,50,100 --every 2m --requests 50")
        })?;
        Ok(Some(plan))
    }
}

/// Parses a share of requests such as `10` or `10%`.
pub(crate) fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
    let number = number.ok().filter(|number| *number > 0.0 && *number <= 100.0);
    number.ok_or_else(|| "it must be a number of percent, more than 0 and at most 100".to_owned())
}

/// Parses a session affinity: `header:NAME`, `cookie:NAME` or `address`.
pub(crate) fn parse_sticky(text: &str) -> Result<Sticky, String> {
    let sticky = match text.split_once(':') {
        None if text == "address" => Sticky::Address,
        Some(("header", name)) => Sticky::Header(name.to_owned()),
        Some(("cookie", name)) => Sticky::Cookie(name.to_owned()),
        _ => return Err("it must be header:NAME, cookie:NAME or address".to_owned()),
    };
    sticky.check().map_err(|error| error.to_string())?;
    Ok(sticky)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        canary: CanaryArguments,
    }

    fn plan(line: &str) -> Result<Option<RolloutPlan>, String> {
        let flags = Flags::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        flags.canary.plan().map_err(|failure| failure.to_string())
    }

    #[test]
    fn flags_make_a_plan() {
        assert_eq!(plan("elias"), Ok(None));
        let whole = plan("elias --canary 10% --step 25,50,100 --every 90s --requests 7 --sticky cookie:user");
        let whole = whole.expect("it is good").expect("there is one");
        assert_eq!((whole.steps, whole.every_ms, whole.requests), (vec![10.0, 25.0, 50.0, 100.0], 90_000, 7));
        assert_eq!(whole.sticky, Sticky::Cookie("user".into()));
        for (line, steps) in [
            ("elias --canary 5", vec![5.0, 10.0, 25.0, 50.0, 100.0]),
            ("elias --canary 30", vec![30.0, 50.0, 100.0]),
            ("elias --canary 100", vec![100.0]),
            ("elias --canary 10 --step 10,50", vec![10.0, 50.0]),
            ("elias --canary 1 --step 2%,3%", vec![1.0, 2.0, 3.0]),
        ] {
            assert_eq!(plan(line).expect(line).expect(line).steps, steps, "{line}");
        }
    }

    #[test]
    fn what_makes_no_plan_is_refused() {
        for line in [
            "elias --step 25",
            "elias --canary 0",
            "elias --canary NaN",
            "elias --canary 101",
            "elias --canary 50 --step 25",
            "elias --canary 10 --every 2",
            "elias --canary 10 --every 1ms",
            "elias --canary 10 --requests 0",
            "elias --canary 10 --sticky weather",
            "elias --canary 10 --sticky header:a_b:c",
        ] {
            assert!(plan(line).is_err(), "{line}");
        }
    }
}
