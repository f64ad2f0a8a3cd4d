//! Which packages a tenant takes, as flags and as it is shown.

use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output;
use clap::Args;
use elias_advisories::{PackagePolicies, PackagePolicy, Severity};
use elias_command_line::{CliErrorCode, Failure, Target};

/// Which packages are taken, as far as it is said. A list takes the place of the one before; an empty text makes it
/// empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct PolicyFlags {
    /// Require an integrity in package-lock.json for each npm package; --require-integrity=false turns it off
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    require_integrity: Option<bool>,
    /// Allow only these packages, as name, name@RANGE or @scope/*; repeatable, replaces the whole list
    #[arg(long = "allow-package", value_name = "PATTERN")]
    allow: Vec<String>,
    /// Deny these packages, such as lodash@<4.17.21; repeatable, replaces the whole list
    #[arg(long = "deny-package", value_name = "PATTERN")]
    deny: Vec<String>,
    /// Require this integrity of a package, as in package-lock.json; repeatable, replaces the whole list
    #[arg(long = "pin-package", value_name = "NAME@VERSION=INTEGRITY")]
    pins: Vec<String>,
    /// Lowest severity of an advisory that denies a package: none, low, moderate, high or critical
    #[arg(long = "refuse-vulnerable", value_name = "SEVERITY")]
    refuse: Option<Severity>,
    /// Ignore these advisories, by GHSA or CVE; repeatable, replaces the whole list
    #[arg(long = "ignore-advisory", value_name = "ID")]
    ignore: Vec<String>,
}

impl PolicyFlags {
    /// Lets the flags override what `policy` says.
    ///
    /// # Errors
    /// `bad-input`.
    pub(crate) fn apply(&self, policy: &mut PackagePolicy) -> Result<(), Failure> {
        let lists =
            [(&self.allow, &mut policy.allow), (&self.deny, &mut policy.deny), (&self.ignore, &mut policy.ignore)];
        for (given, list) in lists {
            if !given.is_empty() {
                *list = given.iter().filter(|text| !text.is_empty()).cloned().collect();
            }
        }
        if !self.pins.is_empty() {
            let pins = self.pins.iter().filter(|text| !text.is_empty()).map(|text| {
                let split = text.split_once('=').map(|(package, integrity)| (package.to_owned(), integrity.to_owned()));
                split.ok_or_else(|| {
                    Failure::new(CliErrorCode::BadInput, "--pin-package: write it as NAME@VERSION=sha512-...")
                })
            });
            policy.pins = pins.collect::<Result<_, _>>()?;
        }
        policy.require_integrity = self.require_integrity.unwrap_or(policy.require_integrity);
        policy.refuse = self.refuse.unwrap_or(policy.refuse);
        Ok(policy.check()?)
    }
}

/// Shows what holds, or changes what the tenant says itself.
pub(crate) fn policy(flags: &PolicyFlags, target: &Target) -> Result<(), Failure> {
    let client = Client::of(target)?;
    let url = client.tenant_url(&["packages"]);
    let mut response = client.get(url.clone())?;
    if *flags != PolicyFlags::default() {
        let mut own = read::<PackagePolicies>(&response)?.own;
        flags.apply(&mut own)?;
        response = client.put(url, &own)?;
    }
    output::print_item(target.json, &response, |PackagePolicies { host, own }: PackagePolicies| {
        let said = [("the host says", host), ("the tenant says", own)];
        output::facts(said.map(|(who, policy)| (who, describe(&policy))))
    })
}

/// A policy in one line.
pub(crate) fn describe(policy: &PackagePolicy) -> String {
    let mut said = Vec::new();
    if policy.require_integrity {
        said.push("integrity required".to_owned());
    }
    if policy.refuse != Severity::None {
        said.push(format!("advisories refuse from {} on", policy.refuse));
    }
    for (what, list) in [("only", &policy.allow), ("not", &policy.deny), ("advisories ignored:", &policy.ignore)] {
        if !list.is_empty() {
            said.push(format!("{what} {}", list.join(" ")));
        }
    }
    if !policy.pins.is_empty() {
        let pinned: Vec<_> = policy.pins.keys().map(String::as_str).collect();
        said.push(format!("pinned: {}", pinned.join(" ")));
    }
    if said.is_empty() { "any package".to_owned() } else { said.join("; ") }
}
