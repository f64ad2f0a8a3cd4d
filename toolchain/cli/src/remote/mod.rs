//! The commands that talk to a platform's admin API.

mod account;
mod canary;
mod client;
mod deploy;
mod files;
mod output;
mod rollouts;
mod target;
mod versions;

use crate::failure::Failure;
use clap::Subcommand;

/// What is done on a platform: a host with `elias serve --platform`.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Remembers a platform and a token for it
    Login(account::LoginArguments),
    /// Forgets the platform and its token
    Logout,
    /// Uploads a version of a component and serves it
    Deploy(deploy::DeployArguments),
    /// Lists, shows and deletes a component's versions
    Versions(versions::VersionsArguments),
    /// Shows how two versions of a component differ
    Diff(versions::DiffArguments),
    /// Serves in one environment the version that serves in another
    Promote(versions::PromoteArguments),
    /// Serves a version that served before
    Rollback(rollouts::RollbackArguments),
    /// Steers a canary that is under way
    Canary(rollouts::CanaryCommandArguments),
    /// Stops a component: its requests get 503
    Stop(rollouts::ServiceArguments),
    /// Starts a component that was stopped
    Start(rollouts::ServiceArguments),
    /// Shows what serves, and how it does
    Status(rollouts::StatusArguments),
}

impl RemoteCommand {
    /// Does what was asked for, and tells on standard output.
    ///
    /// # Errors
    /// If there is no platform, it cannot be reached, or it refuses.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Login(arguments) => account::login(arguments),
            Self::Logout => account::logout(),
            Self::Deploy(arguments) => deploy::deploy(arguments),
            Self::Versions(arguments) => versions::versions(arguments),
            Self::Diff(arguments) => versions::diff(arguments),
            Self::Promote(arguments) => versions::promote(arguments),
            Self::Rollback(arguments) => rollouts::rollback(arguments),
            Self::Canary(arguments) => rollouts::canary(arguments),
            Self::Stop(arguments) => rollouts::stop(arguments),
            Self::Start(arguments) => rollouts::start(arguments),
            Self::Status(arguments) => rollouts::status(arguments),
        }
    }
}
