//! One record of the OSV format, as far as it is about npm.

use super::Vulnerability;
use crate::severity::Severity;
use nodejs_semver::Version;
use serde::Deserialize;
use serde_json::Value;
use std::cmp::Ordering;
use std::sync::Arc;

const NPM: &str = "npm";
/// Characters of a summary that are kept.
const SUMMARY_CHARS_MAX: usize = 200;
/// Other names of an advisory that are kept.
const ALIASES_MAX: usize = 20;

/// A record. Lists may be missing, and are `null` in some databases.
#[derive(Deserialize)]
pub(super) struct Record {
    id: String,
    summary: Option<String>,
    aliases: Option<Vec<String>>,
    withdrawn: Option<String>,
    severity: Option<Vec<SeverityRecord>>,
    database_specific: Option<Value>,
    affected: Option<Vec<AffectedPackage>>,
}

#[derive(Deserialize)]
struct SeverityRecord {
    score: String,
}

#[derive(Deserialize)]
struct AffectedPackage {
    package: Option<PackageName>,
    severity: Option<Vec<SeverityRecord>>,
    ranges: Option<Vec<RangeRecord>>,
    versions: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct PackageName {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct RangeRecord {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<EventRecord>,
}

#[derive(Deserialize)]
struct EventRecord {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// The versions that an advisory is about.
#[derive(Debug)]
pub(super) struct Affected {
    versions: Vec<String>,
    ranges: Vec<Range>,
}

#[derive(Debug)]
enum Range {
    Read {
        /// In the order of their versions.
        events: Vec<Event>,
        /// From the least of these on nothing is said; empty: of all something is.
        limits: Vec<Version>,
    },
    /// A bound is not a version: everything may be in it.
    Unreadable,
}

#[derive(Debug)]
struct Event {
    kind: EventKind,
    /// None: before all versions.
    at: Option<Version>,
}

/// In the order in which events of one version hold: what is introduced where something else was fixed is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EventKind {
    Fixed,
    Introduced,
    LastAffected,
}

impl Record {
    /// The npm packages that it is about.
    pub(super) fn about_npm(self) -> Vec<(String, Arc<Vulnerability>, Affected)> {
        let Self { id, summary, aliases, withdrawn, severity, database_specific, affected } = self;
        if withdrawn.is_some() {
            return Vec::new();
        }
        let word = database_specific.as_ref().and_then(|specific| specific.get("severity")?.as_str());
        let of_all = word.and_then(Severity::of_word).or_else(|| worst(severity.as_deref()));
        let summary: String = summary.unwrap_or_default().chars().take(SUMMARY_CHARS_MAX).collect();
        let aliases: Vec<_> = aliases.unwrap_or_default().into_iter().take(ALIASES_MAX).collect();
        let advisory = |of_package: Option<Severity>| {
            let severity = of_all.or(of_package).unwrap_or(Severity::Critical);
            let (id, aliases, summary) = (id.clone(), aliases.clone(), summary.clone());
            Arc::new(Vulnerability { id, aliases, severity, summary, fixed: None })
        };
        let of_npm = affected.unwrap_or_default().into_iter().filter_map(|affected| {
            let name = affected.package.filter(|package| package.ecosystem == NPM)?.name;
            // Ranges of npm's own kind go by SemVer too; those of a repository's commits are another matter.
            let ranges = affected.ranges.unwrap_or_default().into_iter().filter(|range| range.kind != "GIT");
            let ranges = ranges.map(|range| Range::of(range.events)).collect();
            let versions = affected.versions.unwrap_or_default();
            Some((name, advisory(worst(affected.severity.as_deref())), Affected { versions, ranges }))
        });
        of_npm.collect()
    }
}

fn worst(scores: Option<&[SeverityRecord]>) -> Option<Severity> {
    scores.unwrap_or_default().iter().filter_map(|scored| Severity::of_cvss(&scored.score)).max()
}

impl Affected {
    pub(super) fn unreadable_ranges(&self) -> usize {
        self.ranges.iter().filter(|range| matches!(range, Range::Unreadable)).count()
    }

    /// Whether a version is among them; with it, the next version that is not, if it is known. `semver` is the version
    /// as npm orders them.
    pub(super) fn covers(&self, version: &str, semver: Option<&Version>) -> Option<Option<String>> {
        let mut fixed = self.ranges.iter().filter_map(|range| range.covers(semver));
        match fixed.next() {
            Some(fixed) => Some(fixed),
            None => self.versions.iter().any(|listed| listed == version).then(|| self.next_fixed(semver)),
        }
    }

    /// For a version that is only listed: ranges may say all the same where it ends.
    fn next_fixed(&self, semver: Option<&Version>) -> Option<String> {
        self.ranges.iter().filter_map(|range| range.next_fixed(semver)).min().map(ToString::to_string)
    }
}

impl Range {
    fn of(records: Vec<EventRecord>) -> Self {
        let (mut events, mut limits) = (Vec::new(), Vec::new());
        for EventRecord { introduced, fixed, last_affected, limit } in records {
            let kinds = [
                (EventKind::Introduced, introduced),
                (EventKind::Fixed, fixed),
                (EventKind::LastAffected, last_affected),
            ];
            for (kind, at) in kinds {
                match at.as_deref() {
                    None => {}
                    Some("0") if kind == EventKind::Introduced => events.push(Event { kind, at: None }),
                    Some(at) => match bound(at) {
                        Some(at) => events.push(Event { kind, at: Some(at) }),
                        None => return Self::Unreadable,
                    },
                }
            }
            match limit.as_deref() {
                None | Some("*") => {}
                Some(limit) => match bound(limit) {
                    Some(limit) => limits.push(limit),
                    None => return Self::Unreadable,
                },
            }
        }
        events.sort_by(|a, b| a.at.cmp(&b.at).then(a.kind.cmp(&b.kind)));
        Self::Read { events, limits }
    }

    /// As the schema's section on evaluation says. <https://ossf.github.io/osv-schema/#evaluation>
    fn covers(&self, version: Option<&Version>) -> Option<Option<String>> {
        let Self::Read { events, limits } = self else { return Some(None) };
        let Some(version) = version else { return Some(None) };
        if !limits.is_empty() && !limits.iter().any(|limit| version < limit) {
            return None;
        }
        let mut affected = false;
        for event in events {
            let order = event.at.as_ref().map_or(Ordering::Greater, |at| version.cmp(at));
            affected = match event.kind {
                EventKind::Introduced if order.is_ge() => true,
                EventKind::Fixed if order.is_ge() => false,
                EventKind::LastAffected if order.is_gt() => false,
                _ => affected,
            };
        }
        affected.then(|| self.next_fixed(Some(version)).map(ToString::to_string))
    }

    fn next_fixed(&self, version: Option<&Version>) -> Option<&Version> {
        let Self::Read { events, .. } = self else { return None };
        let fixed = events.iter().filter(|event| event.kind == EventKind::Fixed).filter_map(|event| event.at.as_ref());
        fixed.filter(|at| version.is_none_or(|version| *at > version)).min()
    }
}

/// A bound of a range; the parts that some leave out are zero.
fn bound(text: &str) -> Option<Version> {
    let parse = |text: &str| Version::parse(text).ok();
    parse(text).or_else(|| parse(&format!("{text}.0"))).or_else(|| parse(&format!("{text}.0.0")))
}
