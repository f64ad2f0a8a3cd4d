//! `elias rollback` and `elias canary`.

use super::deploy::changed_triggers;
use super::services::ServiceArguments;
use crate::remote::connection::client::Client;
use crate::remote::connection::output;
use clap::{Args, Subcommand};
use elias_api::{Deployment, RolloutAction};
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};
use serde_json::json;

/// The arguments of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// Version to return to [default: the previous one]
    #[arg(long, value_name = "N")]
    to: Option<u32>,
    /// Restore service workers to their state before the present version; what they did since is lost
    #[arg(long)]
    restore_workers: bool,
    #[command(flatten)]
    service: ServiceArguments,
}

/// The arguments of `canary`.
#[derive(Debug, Args)]
pub(crate) struct CanaryCommandArguments {
    /// Component name
    component: ComponentName,
    #[command(subcommand)]
    action: CanaryAction,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production", global = true)]
    environment: Environment,
    /// Reason to record in the history
    #[arg(long, value_name = "TEXT", default_value = "", global = true)]
    reason: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum CanaryAction {
    /// Promote the canary to all requests now
    Promote,
    /// Pause the rollout at its share; health checks continue
    Pause,
    /// Resume the rollout
    Resume,
    /// Abort the canary and return all requests to the previous version
    Abort,
}

/// Goes back to a version that served before.
pub(crate) fn rollback(arguments: &RollbackArguments) -> Result<(), Failure> {
    let ServiceArguments { component, environment, target } = &arguments.service;
    let client = Client::of(target)?;
    let mut body = json!({ "to": arguments.to });
    if arguments.restore_workers {
        // A platform of before does not know it, and refuses it.
        body["restore_workers"] = true.into();
    }
    let response = client.post(client.service_url(component, environment, &["rollback"]), &body)?;
    output::print_item(target.json, &response, |deployment: Deployment| {
        let instead = deployment.replaces.map_or_else(String::new, |version| format!(" instead of {version}"));
        let said = format!("{component} {} serves {environment}{instead}\n", deployment.version);
        said + &changed_triggers(&deployment)
    })
}

/// Steers the canary that is under way.
pub(crate) fn canary(arguments: &CanaryCommandArguments) -> Result<(), Failure> {
    let CanaryCommandArguments { component, action, environment, reason, target } = arguments;
    let client = Client::of(target)?;
    let (action, said) = match action {
        CanaryAction::Promote => (RolloutAction::Promote, "has all requests"),
        CanaryAction::Pause => (RolloutAction::Pause, "keeps its share"),
        CanaryAction::Resume => (RolloutAction::Resume, "goes on"),
        CanaryAction::Abort => (RolloutAction::Abort, "is given up"),
    };
    let body = json!({ "action": action, "reason": reason });
    let response = client.post(client.service_url(component, environment, &["rollout"]), &body)?;
    output::print_done(target.json, &response, &format!("the canary of {component} in {environment} {said}"))
}
