//! The policies by which a tenant accepts or refuses npm packages.

use super::advisory::AdvisorySet;
use super::pattern::{self, Pattern};
use super::sbom::{Package, is_strong_integrity};
use super::severity::Severity;
use crate::error::{Error, Result};
use nodejs_semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Entries of each list.
const LIST_MAX: usize = 1_000;
/// Bytes of an advisory's id.
const ID_BYTES_MAX: usize = 128;
/// Packages that a refusal names.
const NAMED_MAX: usize = 10;

/// A policy for the npm packages in the versions of a tenant. It is applied when a version is uploaded; versions that
/// were accepted before keep serving.
///
/// A pattern is `name`, `name@RANGE` with a version range in the syntax of npm (`lodash@<4.17.21`), or `@scope/*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PackagePolicy {
    /// Whether each package must have an integrity hash (SHA-256, SHA-384 or SHA-512) in the lockfile of npm; false by
    /// default.
    pub require_integrity: bool,
    /// Patterns of the packages that are allowed; empty, the default, for all.
    pub allow: Vec<String>,
    /// Patterns of packages that are refused even if `allow` matches them.
    pub deny: Vec<String>,
    /// The required integrity hashes of packages: a map from `name@version` to `sha512-BASE64`.
    pub pins: BTreeMap<String, String>,
    /// The minimum severity at which an advisory refuses a package; `none`, the default, refuses none.
    pub refuse: Severity,
    /// Ids or aliases of advisories that do not refuse a package, such as `CVE-2021-23337`.
    pub ignore: Vec<String>,
}

/// The owner of a policy, which its refusals name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyOwner {
    /// The platform operators.
    Host,
    /// The tenant itself.
    Tenant,
}

impl PolicyOwner {
    /// Names the owner of the policy, and the command that changes it.
    fn explanation(self) -> &'static str {
        match self {
            Self::Host => "by the policy of the host, which platform operators change with: elias tenants set",
            Self::Tenant => "by the policy of the tenant, which its administrators change with: elias packages policy",
        }
    }
}

impl PackagePolicy {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// `bad-input`, with the key.
    pub fn check(&self) -> Result<()> {
        let bad = |message: String| Err(Error::BadInput(message));
        let lists = [self.allow.len(), self.deny.len(), self.pins.len(), self.ignore.len()];
        if lists.iter().any(|length| *length > LIST_MAX) {
            return bad(format!("packages: allow, deny, pins and ignore have at most {LIST_MAX} entries each"));
        }
        patterns(&self.allow)?;
        patterns(&self.deny)?;
        for (package, integrity) in &self.pins {
            let (name, version) = pattern::split(package);
            if !pattern::is_name(name) || version.is_none_or(|version| Version::parse(version).is_err()) {
                return bad(format!("packages.pins: `{}` must be name@version", package.escape_debug()));
            }
            if !is_strong_integrity(integrity) {
                let what = "the integrity must be sha512-, sha384- or sha256- and Base64, as package-lock.json has it";
                return bad(format!("packages.pins: {package}: {what}"));
            }
        }
        if let Some(id) = self.ignore.iter().find(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
            let shown: String = id.chars().take(ID_BYTES_MAX).collect();
            return bad(format!("packages.ignore: `{}` must be the id of an advisory", shown.escape_debug()));
        }
        Ok(())
    }

    /// Whether it refuses something at all.
    #[must_use]
    pub fn asks(&self) -> bool {
        let Self { require_integrity, allow, deny, pins, refuse, ignore: _ } = self;
        *require_integrity || !allow.is_empty() || !deny.is_empty() || !pins.is_empty() || *refuse != Severity::None
    }

    /// Refuses a component with these packages unless all of them are taken.
    ///
    /// # Errors
    /// `sbom-missing`, `integrity-missing`, `integrity-mismatch`, `package-denied`, `package-vulnerable`;
    /// `advisories-missing` if advisories are to be looked at and the host has none.
    pub fn examine(
        &self,
        owner: PolicyOwner,
        packages: Option<&[Package]>,
        advisories: Option<&AdvisorySet>,
    ) -> Result<()> {
        if !self.asks() {
            return Ok(());
        }
        let Some(packages) = packages else {
            let message = format!(
                "the component does not say which packages are in it ({}); build it with elias-build, which writes a \
                bill of materials",
                owner.explanation()
            );
            return Err(Error::SbomMissing(message));
        };
        let packages: Vec<_> = packages.iter().map(|package| (package, package.semver())).collect();
        let refuse = |refusal: fn(String) -> Error, found: Vec<String>| match named(found) {
            Some(named) => Err(refusal(format!("{named} ({})", owner.explanation()))),
            None => Ok(()),
        };
        let of_each = |what: &dyn Fn(&Package, Option<&Version>) -> Option<String>| -> Vec<String> {
            packages.iter().filter_map(|(package, version)| what(package, version.as_ref())).collect()
        };
        let unlocked = |package: &Package, _: Option<&Version>| {
            (self.require_integrity && !package.has_strong_integrity()).then(|| {
                format!(
                    "{package} must have an integrity hash, SHA-256 or better: run `npm install`, commit \
                     package-lock.json and build again"
                )
            })
        };
        refuse(Error::IntegrityMissing, of_each(&unlocked))?;
        refuse(Error::IntegrityMismatch, of_each(&|package, _| self.unpinned(package)))?;
        let (allow, deny) = (patterns(&self.allow)?, patterns(&self.deny)?);
        let denied = |package: &Package, version: Option<&Version>| {
            if let Some(at) = deny.iter().position(|pattern| pattern.denies(&package.name, version)) {
                return Some(format!("{package} is denied by `{}`", self.deny[at]));
            }
            let allowed = allow.is_empty() || allow.iter().any(|pattern| pattern.allows(&package.name, version));
            (!allowed).then(|| format!("{package} is not among the packages that are allowed"))
        };
        refuse(Error::PackageDenied, of_each(&denied))?;
        if self.refuse == Severity::None {
            return Ok(());
        }
        let advisories = advisories.ok_or_else(|| {
            let what = "the policy refuses packages with advisories, but the host has none: start it with --advisories";
            Error::AdvisoriesMissing(format!("{what} ({})", owner.explanation()))
        })?;
        let vulnerable = |package: &Package, version: Option<&Version>| {
            let all = advisories.of_version(package, version);
            let counts = |found: &&super::Vulnerability| {
                found.severity.reaches(self.refuse) && !self.ignore.iter().any(|id| found.is_called(id))
            };
            let told: Vec<_> = all.iter().filter(counts).map(|found| found.told(package)).collect();
            (!told.is_empty()).then(|| told.join("; "))
        };
        refuse(Error::PackageVulnerable, of_each(&vulnerable))
    }

    /// The finding for a package with another integrity than it must have.
    fn unpinned(&self, package: &Package) -> Option<String> {
        let pinned = self.pins.get(&format!("{}@{}", package.name, package.version))?;
        if package.integrity.contains(pinned) {
            return None;
        }
        let has = if package.integrity.is_empty() { "none".to_owned() } else { package.integrity.join(" ") };
        Some(format!(
            "{package} must have the integrity {pinned} and has {has}: it is another package of that name; find out \
            where it came from, then run `npm ci` with the registry's and build again"
        ))
    }
}

fn patterns(texts: &[String]) -> Result<Vec<Pattern>> {
    texts.iter().map(|text| Pattern::parse(text)).collect()
}

/// The findings, in one line of bounded length.
fn named(mut found: Vec<String>) -> Option<String> {
    let more = found.len().saturating_sub(NAMED_MAX);
    found.truncate(NAMED_MAX);
    let mut text = found.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    (!found.is_empty()).then_some(text)
}
