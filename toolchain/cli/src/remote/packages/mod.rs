//! `elias packages`: the npm packages in components, what advisories say of them, and which of them a tenant takes.

mod policy;

use crate::remote::connection::client::{Client, items, read};
use crate::remote::connection::output;
use clap::{Args, Subcommand};
use elias_advisories::{AdvisorySet, AuditedPackage, Package, PackageReport, Severity, report};
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::{ComponentName, Environment};
pub(crate) use policy::{PolicyFlags, describe};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The arguments of `packages`.
#[derive(Debug, Args)]
pub(crate) struct PackagesArguments {
    #[command(subcommand)]
    command: PackagesCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum PackagesCommand {
    /// List packages of a component, or of all deployed ones, with their advisories; fail if there is one
    Audit(AuditArguments),
    /// Show the tenant's package policy, or change the given settings of it
    Policy {
        #[command(flatten)]
        flags: Box<PolicyFlags>,
    },
}

#[derive(Debug, Args)]
struct AuditArguments {
    /// File of a component [default: the deployed components]
    file: Option<PathBuf>,
    /// Deployed component [default: all of the tenant]
    #[arg(long, value_name = "COMPONENT", conflicts_with = "file")]
    component: Option<ComponentName>,
    /// Environment: dev, staging or production [default: all]
    #[arg(long = "env", value_name = "ENVIRONMENT", conflicts_with = "file")]
    environment: Option<Environment>,
    /// Advisories in the OSV format, a file or a directory [default: those of the platform]
    #[arg(long, value_name = "FILE|DIR")]
    advisories: Option<PathBuf>,
    /// Lowest severity that makes the command fail: low, moderate, high or critical; none: never fail
    #[arg(long, value_name = "SEVERITY", default_value = "low")]
    level: Severity,
}

/// The packages of one component.
#[derive(Debug, Serialize)]
struct ComponentAudit {
    /// A file's path, or the component's name.
    component: String,
    environment: Option<Environment>,
    version: Option<u32>,
    #[serde(flatten)]
    report: PackageReport,
}

/// The versions that a service serves.
#[derive(Debug, Deserialize)]
struct ServingVersions {
    component: ComponentName,
    environment: Environment,
    release: Release,
    canary: Option<Release>,
    beside: Vec<Release>,
}

#[derive(Debug, Deserialize)]
struct Release {
    version: u32,
}

/// Shows packages and their advisories, or which packages are taken.
///
/// # Errors
/// `package-vulnerable` if an advisory reaches the level.
pub(crate) fn packages(arguments: &PackagesArguments) -> Result<(), Failure> {
    let target = &arguments.target;
    match &arguments.command {
        PackagesCommand::Policy { flags } => policy::policy(flags, target),
        PackagesCommand::Audit(audit) => {
            let advisories = audit.advisories.as_deref().map(advisories).transpose()?;
            let all = match &audit.file {
                Some(file) => vec![of_file(file, advisories.as_ref())?],
                None => of_platform(&Client::of(target)?, audit, advisories.as_ref())?,
            };
            output::print_response(target.json, &json!({ "components": all }), || Ok(show(&all)))?;
            judge(&all, audit.level)
        }
    }
}

fn advisories(path: &Path) -> Result<AdvisorySet, Failure> {
    Ok(AdvisorySet::read(path)?)
}

fn of_file(file: &Path, advisories: Option<&AdvisorySet>) -> Result<ComponentAudit, Failure> {
    let component = file.display().to_string();
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(CliErrorCode::Io, format_args!("cannot read {component}: {error}")))?;
    let report = report(Package::all_of(&bytes)?, advisories);
    Ok(ComponentAudit { component, environment: None, version: None, report })
}

fn of_platform(
    client: &Client,
    audit: &AuditArguments,
    own: Option<&AdvisorySet>,
) -> Result<Vec<ComponentAudit>, Failure> {
    let mut url = client.tenant_url(&["services"]);
    if let Some(component) = &audit.component {
        url.query_pairs_mut().append_pair("component", component.as_str());
    }
    let services: Vec<ServingVersions> = items(&client.get(url)?)?;
    let wanted =
        |service: &ServingVersions| audit.environment.is_none_or(|environment| service.environment == environment);
    let mut all = Vec::new();
    for service in services.into_iter().filter(wanted) {
        let releases = std::iter::once(&service.release).chain(&service.canary).chain(&service.beside);
        let versions: BTreeSet<u32> = releases.map(|release| release.version).collect();
        for version in versions {
            let name = service.component.as_str();
            let response =
                client.get(client.tenant_url(&["components", name, "versions", &version.to_string(), "packages"]))?;
            let mut found: PackageReport = read(&response)?;
            if own.is_some() {
                let packages =
                    found.packages.map(|packages| packages.into_iter().map(|audited| audited.package).collect());
                found = report(packages, own);
            }
            all.push(ComponentAudit {
                component: name.to_owned(),
                environment: Some(service.environment),
                version: Some(version),
                report: found,
            });
        }
    }
    if all.is_empty() {
        return Err(
            Failure::new(CliErrorCode::NotFound, "no service matches").help("`elias status` lists the services")
        );
    }
    Ok(all)
}

/// A heading for each component, and a line for each of its packages and for each advisory.
fn show(all: &[ComponentAudit]) -> String {
    let mut text = String::new();
    for ComponentAudit { component, environment, version, report } in all {
        let version = version.map_or_else(String::new, |version| format!(" {version}"));
        let place = environment.map_or_else(String::new, |environment| format!(" in {environment}"));
        let advisories = match report.advisories {
            Some(count) => format!("compared with {} advisories", output::number(count)),
            None => "compared with no advisories: name some with --advisories".to_owned(),
        };
        let Some(packages) = &report.packages else {
            text.push_str(&format!("{}{version}{place} has no list of its packages\n", plain(component)));
            continue;
        };
        let count = packages.len();
        text.push_str(&format!("{}{version}{place}: {count} packages, {advisories}\n", plain(component)));
        if !packages.is_empty() {
            let header = ["package", "version", "integrity", "advisory", "severity", "fixed in", "what"];
            text.push_str(&output::table(header, packages.iter().flat_map(rows)));
        }
    }
    text
}

fn rows(audited: &AuditedPackage) -> Vec<[String; 7]> {
    let Package { name, version, integrity } = &audited.package;
    let algorithms: Vec<_> = integrity.iter().filter_map(|integrity| integrity.split('-').next()).collect();
    let row = |advisory: [String; 4]| {
        let [id, severity, fixed, what] = advisory;
        [name.clone(), version.clone(), algorithms.join(" "), id, severity, fixed, what]
    };
    if audited.vulnerabilities.is_empty() {
        return vec![row(Default::default())];
    }
    let advisories = audited.vulnerabilities.iter().map(|found| {
        let fixed = found.fixed.clone().unwrap_or_else(|| "none".to_owned());
        row([found.id.clone(), found.severity.to_string(), fixed, found.summary.clone()])
    });
    advisories.collect()
}

/// Fails if an advisory reaches the level.
fn judge(all: &[ComponentAudit], level: Severity) -> Result<(), Failure> {
    let packages = all.iter().filter_map(|audited| audited.report.packages.as_ref()).flatten();
    let bad = packages.flat_map(|audited| {
        audited
            .vulnerabilities
            .iter()
            .filter(|found| found.severity.reaches(level))
            .map(|found| found.told(&audited.package))
    });
    let told: BTreeSet<String> = bad.map(|told| plain(&told)).collect();
    if told.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = told.iter().map(|line| format!("\n  {line}")).collect();
    let message = format!("{} advisories of severity {level} or worse:{}", told.len(), lines.concat());
    Err(Failure::new(CliErrorCode::PackageVulnerable, message)
        .help("change the packages, commit package-lock.json, and deploy again; --level says what is bad enough"))
}
