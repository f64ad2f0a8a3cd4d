//! Experiments: `elias deploy --stage` and `elias stages`.

use super::canary::{parse_percent, parse_sticky};
use super::services::ServiceArguments;
use crate::remote::connection::client::{Client, items};
use crate::remote::connection::output::{self, number, time};
use clap::Args;
use elias_command_line::{CliErrorCode, Failure};
use elias_delivery::experiment::{Experiment, ExperimentPlan, Variant};
use elias_delivery::rollout::Sticky;
use elias_delivery::setting::InvalidSetting;
use elias_names::{ComponentName, Environment};
use elias_project::is_source;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// Weights are shares of this many.
const WHOLE: u32 = 10_000;
/// The name of the version that serves, among the variants.
const BASELINE: &str = "stage1";

/// The arguments of `deploy` for a variant of an experiment.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StageArguments {
    /// Run the version as a variant beside the deployed one, under this name [default: the name in the source, such as
    /// stage2 for the second implementation]
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        value_parser = name,
        conflicts_with_all = ["canary", "no_serve"],
        help_heading = "Experiments"
    )]
    pub(crate) stage: Option<Option<String>>,
    /// Share of the requests that the variant responds to, in percent [default: 0]
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent, requires = "stage", help_heading = "Experiments")]
    weight: Option<f64>,
    /// Share of the other requests that are mirrored to the variant, in percent; its responses are compared and
    /// discarded [default: 100 without --weight]
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent, requires = "stage", help_heading = "Experiments")]
    shadow: Option<f64>,
    /// Also mirror unsafe requests such as POST, whose effects then happen twice
    #[arg(long, requires = "stage", help_heading = "Experiments")]
    shadow_unsafe: bool,
}

/// The arguments of `stages`.
#[derive(Debug, Args)]
pub(crate) struct StagesArguments {
    /// Promote the better variant automatically, once each has enough requests
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    promote: Option<bool>,
    /// Minimum number of requests of each variant before a decision
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Maximum share of responses that may differ from the deployed version, in percent
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    differing: Option<f64>,
    /// Response header to ignore in comparisons; repeatable
    #[arg(long = "ignore-header", value_name = "NAME")]
    ignore_headers: Vec<String>,
    /// Session affinity of clients to a variant
    #[arg(long, value_name = "header:NAME|cookie:NAME|address", value_parser = parse_sticky)]
    sticky: Option<Sticky>,
    /// Remove this variant
    #[arg(long, value_name = "NAME")]
    remove: Option<String>,
    /// End the experiment; the deployed version gets all requests
    #[arg(long, conflicts_with_all = ["remove", "sticky", "ignore_headers", "differing", "requests", "promote"])]
    end: bool,
    #[command(flatten)]
    service: ServiceArguments,
}

/// A variant's name, and not the file that may stand behind `--stage` where that has none.
fn name(text: &str) -> Result<String, String> {
    let file = Path::new(text);
    if is_source(file) || file.extension().is_some_and(|extension| extension == "wasm") {
        return Err(format!("{text} is a file: write it before --stage"));
    }
    Ok(text.to_owned())
}

/// The state of a service, as far as experiments need it.
#[derive(Debug, Deserialize)]
pub(crate) struct ServiceState {
    environment: Environment,
    revision: u64,
    release: ServingVersion,
    #[serde(rename = "stages")]
    experiment: Option<Experiment>,
}

#[derive(Debug, Deserialize)]
struct ServingVersion {
    version: u32,
}

/// Adds a version to the experiment as a variant; begins one where none is running.
///
/// # Errors
/// If nothing serves there yet, the shares are more than 100 %, or the platform refuses.
pub(crate) fn add_variant(
    client: &Client,
    component: &ComponentName,
    environment: Environment,
    (version, name, arguments): (u32, &str, &StageArguments),
    json: bool,
) -> Result<(), Failure> {
    let state = state(client, component, environment)?;
    let plan =
        state.experiment.as_ref().map_or_else(|| alone(state.release.version), |experiment| experiment.plan.clone());
    let plan = with(plan, version, name, arguments)?;
    let response = set(client, component, environment, &state, &plan)?;
    output::print_item(json, &response, |experiment: Experiment| {
        format!("{}compare them with: elias compare {component} --env {environment}\n", show(&experiment))
    })
}

/// Shows an experiment, or changes how its variants are compared.
///
/// # Errors
/// If the platform refuses.
pub(crate) fn stages(arguments: &StagesArguments) -> Result<(), Failure> {
    let ServiceArguments { component, environment, target } = &arguments.service;
    let client = Client::of(target)?;
    if arguments.end {
        let response = client.delete(client.service_url(component, environment, &["stages"]))?;
        return output::print_done(
            target.json,
            &response,
            &format!("{component} in {environment} has no running experiment any more"),
        );
    }
    let state = state(&client, component, *environment)?;
    let Some(now) = &state.experiment else {
        let said = format!(
            "{component} in {environment} has no running experiment; version {} serves all requests",
            state.release.version
        );
        return output::print_done(target.json, &Value::Null, &said);
    };
    let plan = changed(now.plan.clone(), arguments)?;
    let response = match plan == now.plan {
        true => serde_json::to_value(now).map_err(|error| Failure::new(CliErrorCode::Internal, error))?,
        false => set(&client, component, *environment, &state, &plan)?,
    };
    output::print_item(target.json, &response, |experiment: Experiment| show(&experiment))
}

/// The state of the service that serves, to which variants can be added.
///
/// # Errors
/// If nothing serves.
pub(crate) fn state(
    client: &Client,
    component: &ComponentName,
    environment: Environment,
) -> Result<ServiceState, Failure> {
    let all: Vec<ServiceState> = items(&client.get(client.services_url(Some(component)))?)?;
    all.into_iter().find(|state| state.environment == environment).ok_or_else(|| {
        let message = format!("{component} does not serve in {environment} yet");
        Failure::new(CliErrorCode::NotFound, message)
            .help("deploy it without --stage first: that is what others are compared with")
    })
}

fn set(
    client: &Client,
    component: &ComponentName,
    environment: Environment,
    state: &ServiceState,
    plan: &ExperimentPlan,
) -> Result<Value, Failure> {
    plan.check().map_err(|error| Failure::new(InvalidSetting::CODE, error))?;
    client.put_at(client.service_url(component, &environment, &["stages"]), plan, state.revision)
}

fn alone(version: u32) -> ExperimentPlan {
    let name = BASELINE.to_owned();
    let baseline = Variant { name, version, weight: WHOLE, shadow: 0.0, shadow_unsafe: false };
    ExperimentPlan {
        variants: vec![baseline],
        sticky: Sticky::None,
        ignore_headers: Vec::new(),
        better: Default::default(),
        promote: false,
    }
}

/// The plan with one variant more, or in place of the one of its name. The baseline responds to what is left.
fn with(
    mut plan: ExperimentPlan,
    version: u32,
    name: &str,
    arguments: &StageArguments,
) -> Result<ExperimentPlan, Failure> {
    if plan.variants.first().is_some_and(|baseline| baseline.name == name) {
        let message = format!("{name} is the name of the version that serves");
        return Err(Failure::new(CliErrorCode::BadInput, message)
            .help("give the version another name, such as stage2; or deploy it without --stage"));
    }
    let weight = arguments.weight.map_or(0, |percent| (percent * f64::from(WHOLE) / 100.0).round() as u32);
    let shadow = arguments.shadow.unwrap_or(if weight == 0 { 100.0 } else { 0.0 });
    plan.variants.retain(|variant| variant.name != name);
    let shadow_unsafe = arguments.shadow_unsafe;
    plan.variants.push(Variant { name: name.to_owned(), version, weight, shadow, shadow_unsafe });
    balanced(plan)
}

/// The baseline gets the weight that the others leave.
fn balanced(mut plan: ExperimentPlan) -> Result<ExperimentPlan, Failure> {
    let others = plan.variants.iter().skip(1).map(|variant| variant.weight).sum::<u32>();
    let left = WHOLE.checked_sub(others).ok_or_else(|| {
        Failure::new(
            CliErrorCode::BadInput,
            "the weights of the variants beside the baseline must be at most 100 % in sum",
        )
        .help("set a smaller --weight, or remove a variant with: elias stages --remove NAME")
    })?;
    if let Some(baseline) = plan.variants.first_mut() {
        baseline.weight = left;
    }
    Ok(plan)
}

fn changed(mut plan: ExperimentPlan, arguments: &StagesArguments) -> Result<ExperimentPlan, Failure> {
    if let Some(name) = &arguments.remove {
        let before = plan.variants.len();
        let mut first = true;
        plan.variants.retain(|one| std::mem::take(&mut first) || one.name != *name);
        if plan.variants.len() == before {
            return Err(Failure::new(
                CliErrorCode::NotFound,
                format_args!("variant `{name}` does not exist in the experiment; `elias compare` lists the variants"),
            ));
        }
        plan = balanced(plan)?;
    }
    plan.promote = arguments.promote.unwrap_or(plan.promote);
    plan.better.requests = arguments.requests.unwrap_or(plan.better.requests);
    plan.better.differing = arguments.differing.map_or(plan.better.differing, |percent| percent / 100.0);
    plan.sticky = arguments.sticky.clone().unwrap_or(plan.sticky);
    if !arguments.ignore_headers.is_empty() {
        plan.ignore_headers.clone_from(&arguments.ignore_headers);
    }
    Ok(plan)
}

/// From 0 on, where a canary's share begins above it.
fn share(text: &str) -> Result<f64, String> {
    if text.trim_end_matches('%') == "0" { Ok(0.0) } else { parse_percent(text) }
}

fn show(experiment: &Experiment) -> String {
    let plan = &experiment.plan;
    let all: u32 = plan.variants.iter().map(|variant| variant.weight).sum();
    let rows = plan.variants.iter().map(|one| {
        let weight = f64::from(one.weight) * 100.0 / f64::from(all.max(1));
        let methods = if one.shadow_unsafe { ", all methods" } else { "" };
        let mirrored = if one.shadow > 0.0 { format!("{} %{methods}", one.shadow) } else { String::new() };
        [one.name.clone(), one.version.to_string(), format!("{weight} %"), mirrored]
    });
    let mut text = output::table(["name", "version", "weight", "mirrored"], rows);
    text.push_str(&format!("since {}", time(experiment.started_at)));
    if plan.promote {
        text.push_str(&format!("; the better one is promoted once each has {} requests", number(plan.better.requests)));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_weight(weight: f64) -> StageArguments {
        StageArguments { weight: Some(weight), ..StageArguments::default() }
    }

    #[test]
    fn a_file_is_not_a_name() {
        assert_eq!(name("v1.2"), Ok("v1.2".to_owned()));
        for file in ["app.wasm", "src/index.ts"] {
            assert!(name(file).is_err_and(|why| why.contains("before --stage")), "{file}");
        }
    }

    #[test]
    fn the_baseline_gets_the_weight_that_the_others_leave() {
        let plan = with(alone(3), 4, "stage2", &StageArguments::default()).expect("a shadow");
        let of = |plan: &ExperimentPlan| -> Vec<_> {
            plan.variants.iter().map(|one| (one.name.clone(), one.version, one.weight, one.shadow)).collect()
        };
        assert_eq!(of(&plan), [("stage1".into(), 3, 10_000, 0.0), ("stage2".into(), 4, 0, 100.0)]);
        let plan = with(plan, 5, "stage3", &with_weight(25.5)).expect("a third");
        assert_eq!(of(&plan)[0].2, 7_450);
        let plan = with(plan, 6, "stage2", &with_weight(50.0)).expect("the second again");
        assert_eq!(
            of(&plan),
            [("stage1".into(), 3, 2_450, 0.0), ("stage3".into(), 5, 2_550, 0.0), ("stage2".into(), 6, 5_000, 0.0)]
        );
        assert!(with(plan.clone(), 7, "stage4", &with_weight(25.0)).is_err(), "more than all");
        assert!(with(plan, 7, "stage1", &with_weight(25.0)).is_err(), "that is what serves");
    }
}
