//! `elias stop`, `elias start` and `elias purge`, and the arguments of all commands about one service.

use crate::remote::connection::client::Client;
use crate::remote::connection::output;
use clap::Args;
use elias_command_line::{Failure, Target};
use elias_names::{ComponentName, Environment};
use serde_json::json;

/// Which component, and where.
#[derive(Debug, Args)]
pub(crate) struct ServiceArguments {
    /// Component name
    pub(crate) component: ComponentName,
    /// Environment: dev, staging or production
    #[arg(long = "env", value_name = "ENVIRONMENT", default_value = "production")]
    pub(crate) environment: Environment,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Stops a service.
pub(crate) fn stop(arguments: &ServiceArguments) -> Result<(), Failure> {
    switch(arguments, "stop", "is stopped: its requests get 503")
}

/// Starts a service that was stopped.
pub(crate) fn start(arguments: &ServiceArguments) -> Result<(), Failure> {
    switch(arguments, "start", "is started")
}

/// Deletes the cached responses of a service.
pub(crate) fn purge(arguments: &ServiceArguments) -> Result<(), Failure> {
    switch(arguments, "purge", "has no cached responses any more")
}

fn switch(arguments: &ServiceArguments, action: &str, said: &str) -> Result<(), Failure> {
    let ServiceArguments { component, environment, target } = arguments;
    let client = Client::of(target)?;
    let response = client.post(client.service_url(component, environment, &[action]), &json!({}))?;
    output::print_done(target.json, &response, &format!("{component} in {environment} {said}"))
}
