//! Advisories in the OSV format, and which versions they are about. <https://ossf.github.io/osv-schema/>

mod record;

use super::sbom::Package;
use super::severity::Severity;
use crate::error::{Error, Result};
use nodejs_semver::Version;
use record::{Affected, Record};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A security advisory about an npm package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Vulnerability {
    /// The id of the advisory, such as `GHSA-35jh-r3h4-6jhm`.
    pub id: String,
    /// Other ids of the same advisory, such as `CVE-2021-23337`.
    pub aliases: Vec<String>,
    /// The severity. Advisories without one, such as reports of malicious packages, count as `critical`.
    pub severity: Severity,
    /// A one-line summary of the vulnerability.
    pub summary: String,
    /// The next version of the package that fixes the vulnerability; null if there is none.
    pub fixed: Option<String>,
}

impl Vulnerability {
    /// Whether this is its id, or another name of it.
    #[must_use]
    pub fn is_called(&self, id: &str) -> bool {
        self.id == id || self.aliases.iter().any(|alias| alias == id)
    }

    /// The defect of the package and its remedy, for people.
    #[must_use]
    pub fn told(&self, package: &Package) -> String {
        let Self { id, severity, summary, fixed, .. } = self;
        let name = package.name.escape_debug();
        let helps = match fixed {
            Some(fixed) => format!(
                "fixed in {fixed}: `npm install {name}@{fixed}`, or `npm update {name}` if another package needs it"
            ),
            None => format!("no version fixes it: `npm ls {name}` lists the packages that depend on it"),
        };
        format!("{package} has the advisory {} ({severity}): {}; {helps}", id.escape_debug(), summary.escape_debug())
    }
}

/// The statement of an advisory about one package.
#[derive(Debug)]
struct PackageAdvisory {
    advisory: Arc<Vulnerability>,
    affected: Affected,
}

/// Advisories about npm packages.
#[derive(Debug, Default)]
pub struct AdvisorySet {
    by_package: HashMap<String, Vec<PackageAdvisory>>,
    ids: HashSet<String>,
    unreadable: usize,
}

impl AdvisorySet {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Ranges with a bound that is not a version. They count as all versions.
    #[must_use]
    pub fn unreadable_ranges(&self) -> usize {
        self.unreadable
    }

    /// Takes the advisories of a file: one, a list, or one after the other. Those that were withdrawn or are not about
    /// npm are left out.
    ///
    /// # Errors
    /// `bad-input`.
    pub fn add(&mut self, json: &[u8]) -> Result<()> {
        let bad = |error: serde_json::Error| Error::BadInput(format!("not an advisory in the OSV format: {error}"));
        if json.trim_ascii_start().first() == Some(&b'[') {
            let records: Vec<Record> = serde_json::from_slice(json).map_err(bad)?;
            records.into_iter().for_each(|record| self.take(record));
            return Ok(());
        }
        for record in serde_json::Deserializer::from_slice(json).into_iter() {
            self.take(record.map_err(bad)?);
        }
        Ok(())
    }

    fn take(&mut self, record: Record) {
        for (package, advisory, affected) in record.about_npm() {
            self.unreadable += affected.unreadable_ranges();
            self.ids.insert(advisory.id.clone());
            self.by_package.entry(package).or_default().push(PackageAdvisory { advisory, affected });
        }
    }

    /// The advisories about a package, the worst first.
    #[must_use]
    pub fn of(&self, package: &Package) -> Vec<Vulnerability> {
        self.of_version(package, package.semver().as_ref())
    }

    /// The same, for whoever has read the version already. One that is none of npm's is taken to be in every range.
    pub(super) fn of_version(&self, package: &Package, version: Option<&Version>) -> Vec<Vulnerability> {
        let mut found: Vec<Vulnerability> = Vec::new();
        for PackageAdvisory { advisory, affected } in self.by_package.get(&package.name).into_iter().flatten() {
            let Some(fixed) = affected.covers(&package.version, version) else { continue };
            match found.iter_mut().find(|known| known.id == advisory.id) {
                Some(known) => known.fixed = known.fixed.take().or(fixed),
                None => found.push(Vulnerability { fixed, ..(**advisory).clone() }),
            }
        }
        found.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
        found
    }
}
