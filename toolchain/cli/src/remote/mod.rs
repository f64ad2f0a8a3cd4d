//! The commands that talk to a platform's admin API.

mod access;
mod account;
mod backup;
mod canary;
mod client;
mod comparison;
mod database;
mod deploy;
mod doctor;
mod events;
mod executions;
mod files;
mod flags;
mod members;
mod output;
mod packages;
mod roles;
mod rollouts;
mod secrets;
mod stages;
mod target;
mod tenants;
mod versions;

pub(crate) use access::TenantKeysCommand;
pub(crate) use database::query as query_database;
pub(crate) use output::{plain, print};
pub(crate) use target::Target;

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
    /// Shows and sets who gets a version of their own
    Flags(flags::FlagsArguments),
    /// Shows and changes which implementations are side by side
    Stages(stages::StagesArguments),
    /// Shows how implementations that are side by side do, with confidence intervals
    Compare(rollouts::ServiceArguments),
    /// Stops a component: its requests get 503
    Stop(rollouts::ServiceArguments),
    /// Starts a component that was stopped
    Start(rollouts::ServiceArguments),
    /// Forgets the answers that the platform keeps of a component
    Purge(rollouts::ServiceArguments),
    /// Shows what serves, and how it does
    Status(rollouts::StatusArguments),
    /// Lists what ran, and shows one execution
    Executions(executions::ExecutionsArguments),
    /// Shows what a component logs
    Logs(executions::LogsArguments),
    /// Ends an execution that is under way
    Cancel(executions::CancelArguments),
    /// Lists, sets and deletes a component's secrets
    Secrets(secrets::SecretsArguments),
    /// Lists, makes and revokes the tokens of a tenant
    Tokens(access::TokensArguments),
    /// Lists, shows, sets and deletes the roles that a tenant defines
    Roles(roles::RolesArguments),
    /// Lists, makes, shows, changes and deletes users
    Users(members::UsersArguments),
    /// Lists, makes, shows, changes and deletes the organizations of users
    Organizations(members::OrganizationsArguments),
    /// Lists, makes, changes and deletes tenants
    Tenants(tenants::TenantsArguments),
    /// Says which npm packages are in components, what advisories say of them, and which are taken
    Packages(packages::PackagesArguments),
    /// Shows who did what; `elias packages audit` looks at packages
    Audit(access::AuditArguments),
    /// Says whether the platform is in order
    Doctor(doctor::DoctorArguments),
    /// Writes everything of the platform into one archive
    Backup(backup::BackupArguments),
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
            Self::Flags(arguments) => flags::flags(arguments),
            Self::Stages(arguments) => stages::stages(arguments),
            Self::Compare(arguments) => comparison::compare(arguments),
            Self::Stop(arguments) => rollouts::stop(arguments),
            Self::Start(arguments) => rollouts::start(arguments),
            Self::Purge(arguments) => rollouts::purge(arguments),
            Self::Status(arguments) => rollouts::status(arguments),
            Self::Executions(arguments) => executions::executions(arguments),
            Self::Logs(arguments) => executions::logs(arguments),
            Self::Cancel(arguments) => executions::cancel(arguments),
            Self::Secrets(arguments) => secrets::secrets(arguments),
            Self::Tokens(arguments) => access::tokens(arguments),
            Self::Roles(arguments) => roles::roles(arguments),
            Self::Users(arguments) => members::users(arguments),
            Self::Organizations(arguments) => members::organizations(arguments),
            Self::Tenants(arguments) => tenants::tenants(arguments),
            Self::Packages(arguments) => packages::packages(arguments),
            Self::Audit(arguments) => access::audit(arguments),
            Self::Doctor(arguments) => doctor::doctor(arguments),
            Self::Backup(arguments) => backup::backup(arguments),
        }
    }
}

impl TenantKeysCommand {
    /// Does what was asked for, and tells on standard output.
    ///
    /// # Errors
    /// If there is no platform, it cannot be reached, or it refuses.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        access::tenant_keys(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        _command: RemoteCommand,
    }

    fn parse(line: &str) -> Result<String, String> {
        let parsed = Line::try_parse_from(format!("elias {line}").split_whitespace());
        parsed.map(|line| format!("{line:?}")).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_read_as_they_are_written_in_the_documents() {
        for line in [
            "login http://127.0.0.1:8788 --data-dir .elias --tenant acme",
            "logout",
            "deploy",
            "deploy app.wasm --name shop --env staging --signature app.wasm.sig --reason x --no-serve",
            "deploy --sign a.key --sign b.key --canary 10% --step 25,50,100 --every 2m --requests 50 --sticky cookie:user",
            "versions",
            "versions shop --limit 5 --json",
            "versions show shop 3 --json",
            "versions delete shop 3 --tenant acme",
            "diff shop 2 3",
            "promote shop --from staging --to production --canary 10",
            "promote shop --version 3",
            "rollback shop",
            "rollback shop --to 2 --env staging",
            "canary shop pause",
            "canary shop abort --env staging --reason slow",
            "deploy --stage stage2",
            "deploy app.wasm --stage faster --weight 25% --env staging",
            "deploy --stage stage2 --shadow 10 --shadow-unsafe",
            "stages shop",
            "stages shop --promote --requests 5000 --differing 0 --ignore-header x-request-id --sticky cookie:user",
            "stages shop --remove stage2",
            "stages shop --end --env staging",
            "compare shop --json",
            "promote shop --stage stage2",
            "stop shop",
            "start shop --env dev",
            "purge shop --env staging",
            "status",
            "status shop --json",
            "executions --component shop --env staging --failed --limit 5",
            "executions show 01J0 --json",
            "logs shop --follow",
            "cancel 01J0",
            "secrets list shop",
            "secrets set shop API_TOKEN --env staging --from-file token",
            "secrets delete shop API_TOKEN",
            "tokens list",
            "tokens create ci --role developer --days 30 --component shop --component blog --user u --organization o",
            "tokens create ci --role shop-deployer",
            "tokens revoke 01J0 --json",
            "roles set shop-deployer --policy shop.cedar --ceiling developer",
            "roles list",
            "roles show shop-deployer --json",
            "roles delete shop-deployer --tenant acme",
            "roles schema",
            "organizations create analysts --name Analysts",
            "organizations set analysts --disabled",
            "users create ada --name Ada --email ada@a.example --organization analysts --role developer",
            "users set ada --disabled=false --role= --json",
            "users list --organization analysts",
            "users delete ada",
            "tenants create acme --host *.acme.example --trusted --quota versions=50",
            "tenants set acme --require-signature=false --tenant other",
            "tenants delete acme",
            "tenants set acme --require-integrity --refuse-vulnerable high --deny-package lodash@<4.17.21 --allow-package @acme/*",
            "packages audit app.wasm --advisories osv --level high --json",
            "packages audit --component shop --env production",
            "packages policy",
            "packages policy --require-integrity=false --ignore-advisory GHSA-35jh-r3h4-6jhm --tenant acme",
            "audit --limit 5 --url http://a.example --token-file token",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line));
        }
    }

    #[test]
    fn what_belongs_together_and_what_does_not_is_told() {
        for line in [
            "login",
            "login http://a --token-file x --data-dir y",
            "deploy --env prod",
            "deploy --name A_B",
            "deploy --step 25",
            "deploy --sign a.key --signature b.sig",
            "deploy --stage stage2 --canary 10",
            "deploy --weight 10",
            "stages shop --end --remove stage2",
            "promote shop --stage stage2 --version 3",
            "promote shop",
            "promote shop --from staging --version 3",
            "diff shop 1",
            "canary shop",
            "tokens create ci",
            "tokens create ci --role King",
            "packages audit app.wasm --component shop",
            "packages audit --level terrible",
            "roles set shop-deployer",
            "roles set shop-deployer --policy a --ceiling king",
            "secrets set shop",
            "secrets set shop NAME value",
            "status --tenant A/B",
            "users create",
            "users set ada --disabled=so",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_flag_after_a_command_of_a_command_counts() {
        let line = parse("canary shop pause --env staging --reason slow --tenant acme").expect("it is good");
        assert!(line.contains("Staging") && line.contains("slow") && line.contains("acme"), "{line}");
        let line = parse("secrets list shop --env dev --json").expect("it is good");
        assert!(line.contains("Dev") && line.contains("json: true"), "{line}");
    }
}
