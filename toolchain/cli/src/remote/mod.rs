//! The commands that talk to a platform's admin API.

mod access;
mod administration;
mod connection;
mod delivery;
mod observe;
mod packages;
mod triggers;
mod workers;

pub(crate) use access::tenant_keys::TenantKeysCommand;
pub(crate) use observe::database::query as query_database;

use access::{account, members, roles, secrets, sessions, tenant_keys, tokens};
use administration::{backup, tenants};
use clap::Subcommand;
use delivery::{comparison, deploy, drafts, feature_flags, rollouts, services, spec, stages, targeting, versions};
use elias_command_line::Failure;
use observe::{alerts, audit, doctor, executions, issues, metrics, security, status, traces, usage};
use triggers::{events, jobs, schedules, subscriptions, workflows};

/// The commands that call a platform: a host with `elias serve --platform`.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Save a platform's URL and a token for it
    Login(account::LoginArguments),
    /// Delete the saved URL and token
    Logout,
    /// Upload a version of a component and serve it
    Deploy(deploy::DeployArguments),
    /// List, show and delete versions of a component
    Versions(versions::VersionsArguments),
    /// Compare two versions of a component
    Diff(versions::DiffArguments),
    /// Print the specification of a component, or compare two
    Spec(spec::SpecArguments),
    /// List, pull, push, build and delete drafts on the platform
    Drafts(drafts::DraftsArguments),
    /// Serve an existing version in an environment
    Promote(versions::PromoteArguments),
    /// Serve a previous version again
    Rollback(rollouts::RollbackArguments),
    /// Promote, pause, resume or abort a canary rollout
    Canary(rollouts::CanaryCommandArguments),
    /// Show and set targeting rules
    Targeting(targeting::TargetingArguments),
    /// List, show, set and delete feature flags
    Flags(feature_flags::FlagsArguments),
    /// Show and change an experiment (A/B) and its variants
    Stages(stages::StagesArguments),
    /// Compare the variants of an experiment
    Compare(services::ServiceArguments),
    /// Stop a component, whose requests get 503 from then on
    Stop(services::ServiceArguments),
    /// Start a stopped component
    Start(services::ServiceArguments),
    /// Purge a component's cached responses
    Purge(services::ServiceArguments),
    /// Show deployed versions, their traffic and health
    Status(status::StatusArguments),
    /// List executions, or show one
    Executions(executions::ExecutionsArguments),
    /// List traces, or show one as a tree of spans
    Traces(traces::TracesArguments),
    /// Show or follow a component's logs
    Logs(executions::LogsArguments),
    /// Cancel a running execution
    Cancel(executions::CancelArguments),
    /// List and silence alerts, set their rules and receivers
    Alerts(alerts::AlertsArguments),
    /// List, show, pause, resume and run schedules
    Schedules(schedules::SchedulesArguments),
    /// List, show, enqueue, cancel and retry jobs
    Jobs(jobs::JobsArguments),
    /// List jobs with durable steps, or show one with its steps
    Workflows(workflows::WorkflowsArguments),
    /// List and publish events, list and retry dead letters
    Events(events::EventsArguments),
    /// List, show, pause, resume and replay subscriptions
    Subscriptions(subscriptions::SubscriptionsArguments),
    /// List, show, call, stop and fork service workers
    Workers(workers::WorkersArguments),
    /// List, set and delete a component's secrets
    Secrets(secrets::SecretsArguments),
    /// List, create and revoke access tokens
    Tokens(tokens::TokensArguments),
    /// List and end sessions of browsers in the web console
    Sessions(sessions::SessionsArguments),
    /// List, show, set and delete custom roles
    Roles(roles::RolesArguments),
    /// List, create, show, change and delete users
    Users(members::UsersArguments),
    /// List, create, show, change and delete organizations
    Organizations(members::OrganizationsArguments),
    /// List, create, show, change and delete tenants
    Tenants(tenants::TenantsArguments),
    /// Audit npm packages, and show or set the package policy
    Packages(packages::PackagesArguments),
    /// List, show, resolve, ignore and assign groups of failures
    Issues(issues::IssuesArguments),
    /// Show or export the audit log: who changed what
    Audit(audit::AuditArguments),
    /// Show a metric of components over the last week
    Metrics(metrics::MetricsArguments),
    /// Show executions, fuel, bytes and storage by hour, for billing
    Usage(usage::UsageArguments),
    /// Show active components, authors and deployments by week
    Adoption(usage::AdoptionArguments),
    /// List denials, refused servers and tokens, and limits hit
    Security(security::SecurityArguments),
    /// Check the health of a platform
    Doctor(doctor::DoctorArguments),
    /// Write a backup archive of a platform
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
            Self::Spec(arguments) => spec::spec(arguments),
            Self::Drafts(arguments) => drafts::drafts(arguments),
            Self::Promote(arguments) => versions::promote(arguments),
            Self::Rollback(arguments) => rollouts::rollback(arguments),
            Self::Canary(arguments) => rollouts::canary(arguments),
            Self::Targeting(arguments) => targeting::targeting(arguments),
            Self::Flags(arguments) => feature_flags::flags(arguments),
            Self::Stages(arguments) => stages::stages(arguments),
            Self::Compare(arguments) => comparison::compare(arguments),
            Self::Stop(arguments) => services::stop(arguments),
            Self::Start(arguments) => services::start(arguments),
            Self::Purge(arguments) => services::purge(arguments),
            Self::Status(arguments) => status::status(arguments),
            Self::Executions(arguments) => executions::executions(arguments),
            Self::Traces(arguments) => traces::traces(arguments),
            Self::Logs(arguments) => executions::logs(arguments),
            Self::Cancel(arguments) => executions::cancel(arguments),
            Self::Alerts(arguments) => alerts::alerts(arguments),
            Self::Schedules(arguments) => schedules::schedules(arguments),
            Self::Jobs(arguments) => jobs::jobs(arguments),
            Self::Workflows(arguments) => workflows::workflows(arguments),
            Self::Events(arguments) => events::events(arguments),
            Self::Subscriptions(arguments) => subscriptions::subscriptions(arguments),
            Self::Workers(arguments) => workers::workers(arguments),
            Self::Secrets(arguments) => secrets::secrets(arguments),
            Self::Tokens(arguments) => tokens::tokens(arguments),
            Self::Sessions(arguments) => sessions::sessions(arguments),
            Self::Roles(arguments) => roles::roles(arguments),
            Self::Users(arguments) => members::users(arguments),
            Self::Organizations(arguments) => members::organizations(arguments),
            Self::Tenants(arguments) => tenants::tenants(arguments),
            Self::Packages(arguments) => packages::packages(arguments),
            Self::Issues(arguments) => issues::issues(arguments),
            Self::Audit(arguments) => audit::audit(arguments),
            Self::Metrics(arguments) => metrics::metrics(arguments),
            Self::Usage(arguments) => usage::usage(arguments),
            Self::Adoption(arguments) => usage::adoption(arguments),
            Self::Security(arguments) => security::security(arguments),
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
        tenant_keys::tenant_keys(self)
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
    fn good_command_lines_are_read() {
        for line in [
            "login http://127.0.0.1:8788 --data-dir .elias --tenant acme",
            "logout",
            "deploy",
            "deploy app.wasm --name shop --env staging --signature app.wasm.sig --reason x --no-serve",
            "deploy --sign a.key --sign b.key --canary 10% --step 25,50,100 --every 2m --requests 50 --sticky \
            cookie:user",
            "versions",
            "versions shop --limit 5 --json",
            "versions show shop 3 --json",
            "versions delete shop 3 --tenant acme",
            "diff shop 2 3",
            "drafts list --json",
            "drafts create shop --template api",
            "drafts pull shop folder --force",
            "drafts push",
            "drafts push folder --draft shop --tenant acme",
            "drafts build shop --check",
            "drafts delete shop",
            "spec shop.wasm --config elias.toml",
            "spec shop@3 --openapi",
            "spec --diff shop@2 shop.wasm --json",
            "promote shop --from staging --to production --canary 10",
            "promote shop --version 3",
            "rollback shop",
            "rollback shop --to 2 --env staging",
            "rollback shop --restore-workers",
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
            "targeting shop --give 3",
            "targeting shop --clear --env staging",
            "flags list --env staging",
            "flags show banner --json",
            "flags set banner --from-file banner.json --revision 3",
            "flags set banner --disable --env dev",
            "flags delete banner",
            "flags history banner --limit 5",
            "stop shop",
            "start shop --env dev",
            "purge shop --env staging",
            "status",
            "status shop --json",
            "executions --component shop --env staging --failed --limit 5",
            "executions --trace 4bf92f3577b34da6a3ce929d0e0e4736 --failed",
            "executions show 01J0 --json",
            "traces list --component shop --env staging --failed --min-duration-ms 500 --limit 5",
            "traces show 4bf92f3577b34da6a3ce929d0e0e4736 --json",
            "logs shop --follow",
            "cancel 01J0",
            "alerts list --json",
            "alerts rules",
            "alerts show-rule errors",
            "alerts set-rule errors rule.json",
            "alerts delete-rule errors",
            "alerts silence --rule errors --component shop --env staging --severity critical --for 2h --reason known",
            "alerts silences --tenant system",
            "alerts unsilence 01J0",
            "alerts receivers",
            "alerts set-receiver team -",
            "alerts delete-receiver team",
            "alerts test team",
            "schedules --component shop --env staging --limit 5 --json",
            "schedules show shop nightly",
            "schedules pause shop nightly --env staging",
            "schedules resume shop nightly --json",
            "schedules run shop nightly --tenant acme",
            "jobs --component shop --trigger schedule --name nightly --state dead --limit 5",
            "jobs show 01J0 --json",
            "jobs enqueue shop resize --input 5 --key a --priority -5 --delay 30s --after 01J0 --after 01J1",
            "jobs cancel 01J0",
            "jobs retry 01J0",
            "jobs retry --component shop --name resize",
            "jobs cancel --component shop --env staging",
            "workflows --component shop --env staging --name order --state waiting --limit 5",
            "workflows show 01J0 --json",
            "events --after 12 --limit 1000",
            "events publish order.paid --data {} --subject o-1 --source /shop --id 1",
            "events dead --component shop --subscription paid",
            "events retry --subscription paid",
            "subscriptions",
            "subscriptions show shop paid",
            "subscriptions pause shop paid",
            "subscriptions resume shop paid --env staging",
            "subscriptions replay shop paid --after 0",
            "subscriptions replay shop paid --since 2h",
            "workers list shop --env staging --limit 5 --json",
            "workers list shop --class Cart --tag edge --health unhealthy",
            "workers show shop Cart ada --at 12",
            "workers show shop Cart ada --no-state",
            "workers send shop Cart ada -5",
            "workers call shop Cart ada add \"A1\" 2 --json",
            "workers call shop Cart ada list",
            "workers start shop Cart ../x --env dev",
            "workers stop shop Cart ada --reason broken",
            "workers restart shop Cart ada",
            "workers fork shop Cart ada ada-before --at 12 --tenant acme",
            "workers history shop Cart ada --limit 5",
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
            "tenants set acme --require-integrity --refuse-vulnerable high --deny-package lodash@<4.17.21 \
            --allow-package @acme/*",
            "packages audit app.wasm --advisories osv --level high --json",
            "packages audit --component shop --env production",
            "packages policy",
            "packages policy --require-integrity=false --ignore-advisory GHSA-35jh-r3h4-6jhm --tenant acme",
            "audit --limit 5 --url http://a.example --token-file token",
            "metrics",
            "metrics latency-p99 --component shop --env staging --since 24h --step 5m --json",
            "usage --since 7d --until 1d --csv --tenant acme",
            "usage --all --limit 5 --json",
            "adoption --weeks 4",
            "audit export --since 2h --tenant acme",
            "issues list --state new --state regressed --component shop --env staging --text late --since 2h",
            "issues show 00ff00ff00ff00ff --json",
            "issues resolve 00ff00ff00ff00ff --version 4",
            "issues ignore 00ff00ff00ff00ff --count 100 --for 7days",
            "issues assign 00ff00ff00ff00ff ada",
            "issues assign 00ff00ff00ff00ff",
            "issues reopen 00ff00ff00ff00ff",
            "security events --kind egress-refused --since 7days --limit 5",
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
            "spec",
            "spec shop.wasm --diff shop@1 shop@2",
            "drafts",
            "drafts pull",
            "drafts build Shop",
            "spec --diff shop@1",
            "canary shop",
            "tokens create ci",
            "tokens create ci --role King",
            "packages audit app.wasm --component shop",
            "packages audit --level terrible",
            "roles set shop-deployer",
            "roles set shop-deployer --policy a --ceiling king",
            "flags",
            "flags set",
            "flags set banner --enable --disable",
            "flags set banner --disable --from-file banner.json",
            "secrets set shop",
            "secrets set shop NAME value",
            "status --tenant A/B",
            "alerts",
            "alerts silence --for 2h --reason known",
            "alerts silence --rule errors --reason known",
            "alerts silence --rule errors --for 2h",
            "alerts silence --severity bad --for 2h --reason known",
            "schedules show shop",
            "schedules --limit 5 show shop nightly",
            "jobs --state broken",
            "jobs enqueue shop",
            "jobs enqueue shop resize --input {",
            "jobs retry",
            "jobs cancel",
            "events publish",
            "events --limit 0",
            "issues",
            "issues list --state open",
            "issues resolve",
            "security events --kind other",
            "audit export --limit 5",
            "subscriptions replay shop paid",
            "subscriptions replay shop paid --after 0 --since 2h",
            "traces",
            "traces show",
            "workers",
            "workers list",
            "workers list shop --health ill",
            "workers show shop Cart",
            "workers show shop Cart ada --at 12 --no-state",
            "workers send shop Cart ada",
            "workers send shop Cart ada {",
            "workers call shop Cart ada",
            "workers fork shop Cart ada",
            "workers fork shop Cart ada copy --at -1",
            "users create",
            "users set ada --disabled=so",
            "metrics latency",
            "metrics --step soon",
            "usage --since yesterday",
            "usage --csv --json",
            "adoption --weeks 0",
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
