//! An issue: its counts, when it was seen, and its state.

use super::grouping::{Group, Place};
use std::collections::BTreeMap;

/// Hours for which an issue's occurrences are counted by the hour: a week.
pub const HOURS_KEPT: i64 = 7 * 24;
/// Executions that an issue names, the newest ones.
pub const SAMPLES_MAX: usize = 10;

const HOUR_MS: i64 = 3_600_000;

/// The hour of a time, in hours since 1970; of a time in milliseconds.
#[must_use]
pub fn hour_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(HOUR_MS)
}

/// The state of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nobody has dealt with it.
    New,
    /// It came back in this version, after it was resolved.
    Regressed {
        /// The number of the version.
        version: u32,
    },
    /// It is mended in later versions than this one, in which it may go on.
    Resolved {
        /// The number of the last version that may have it.
        version: u32,
    },
    /// Nobody wants to be told of it.
    Ignored {
        /// It is new again when it was counted this often in all; `None` for however often.
        until_count: Option<u64>,
        /// It is new again from this time on, in milliseconds since 1970; `None` for ever.
        until_ms: Option<i64>,
    },
}

impl Status {
    /// The name: `new`, `regressed`, `resolved` or `ignored`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Regressed { .. } => "regressed",
            Self::Resolved { .. } => "resolved",
            Self::Ignored { .. } => "ignored",
        }
    }
}

/// An execution in which an issue occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The time of its start, in milliseconds since 1970.
    pub at_ms: i64,
    /// The number of the version that ran.
    pub version: u32,
    /// Its id.
    pub execution: String,
}

/// What somebody has to be told of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It was not known.
    Appeared,
    /// It is back after it was resolved.
    Regressed,
    /// It is not ignored any more.
    Unignored,
}

/// The occurrences of one issue in a batch of executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrences {
    group: Group,
    code: Option<String>,
    count: u64,
    first: Occurrence,
    last: Occurrence,
    newest_version: u32,
    hours: BTreeMap<i64, u64>,
    /// The newest executions, in the order in which they came.
    samples: Vec<String>,
}

impl Occurrences {
    /// The first occurrence of an issue in a batch.
    #[must_use]
    pub fn new(group: Group, code: Option<String>, seen: Occurrence) -> Self {
        Self {
            group,
            code,
            count: 1,
            newest_version: seen.version,
            hours: BTreeMap::from([(hour_of(seen.at_ms), 1)]),
            samples: vec![seen.execution.clone()],
            first: seen.clone(),
            last: seen,
        }
    }

    /// Adds another one.
    pub fn add(&mut self, seen: Occurrence, place: Option<Place>) {
        self.count += 1;
        self.newest_version = self.newest_version.max(seen.version);
        *self.hours.entry(hour_of(seen.at_ms)).or_default() += 1;
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.remove(0);
        }
        self.samples.push(seen.execution.clone());
        if seen.at_ms < self.first.at_ms {
            self.first = seen.clone();
        }
        if seen.at_ms >= self.last.at_ms {
            self.last = seen;
            // The line may have moved with the version.
            self.group.place = place;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The id of the issue.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.group.id
    }
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// The id: [`Group::id`].
    pub id: String,
    /// The error code of the failures; `None` for handlers that responded with an error themselves.
    pub code: Option<String>,
    /// [`Group::title`] of the last occurrence.
    pub title: String,
    /// [`Group::place`] of the last occurrence.
    pub place: Option<Place>,
    /// The state.
    pub status: Status,
    /// The user who has to deal with it.
    pub assigned_to: Option<String>,
    /// Recorded occurrences in all.
    pub count: u64,
    /// The first occurrence.
    pub first: Occurrence,
    /// The last occurrence.
    pub last: Occurrence,
    /// The newest version in which it occurred.
    pub newest_version: u32,
    /// Occurrences by hour since 1970, of the last [`HOURS_KEPT`].
    pub hours: BTreeMap<i64, u64>,
    /// The newest executions in which it occurred, the newest first.
    pub samples: Vec<String>,
    /// Counts the changes that users have made of it.
    pub revision: u64,
}

impl Issue {
    /// A new issue of these occurrences.
    #[must_use]
    pub fn new(occurrences: &Occurrences) -> Self {
        let mut issue = Self {
            id: occurrences.group.id.clone(),
            code: occurrences.code.clone(),
            title: occurrences.group.title.clone(),
            place: occurrences.group.place.clone(),
            status: Status::New,
            assigned_to: None,
            count: 0,
            first: occurrences.first.clone(),
            last: occurrences.last.clone(),
            newest_version: 0,
            hours: BTreeMap::new(),
            samples: Vec::new(),
            revision: 1,
        };
        issue.count(occurrences);
        issue
    }

    /// Adds occurrences, and says what has to be told of it, if anything.
    pub fn record(&mut self, occurrences: &Occurrences) -> Option<Transition> {
        self.count(occurrences);
        match self.status {
            Status::Resolved { version } if occurrences.newest_version > version => {
                self.status = Status::Regressed { version: occurrences.newest_version };
                Some(Transition::Regressed)
            }
            Status::Ignored { until_count, until_ms } => {
                let is_over = until_count.is_some_and(|count| self.count >= count)
                    || until_ms.is_some_and(|until| occurrences.last.at_ms >= until);
                is_over.then(|| {
                    self.status = Status::New;
                    Transition::Unignored
                })
            }
            _ => None,
        }
    }

    fn count(&mut self, occurrences: &Occurrences) {
        self.count = self.count.saturating_add(occurrences.count);
        self.newest_version = self.newest_version.max(occurrences.newest_version);
        for (hour, count) in &occurrences.hours {
            *self.hours.entry(*hour).or_default() += count;
        }
        if occurrences.first.at_ms < self.first.at_ms {
            self.first = occurrences.first.clone();
        }
        if occurrences.last.at_ms >= self.last.at_ms {
            self.last = occurrences.last.clone();
            self.title.clone_from(&occurrences.group.title);
            self.place.clone_from(&occurrences.group.place);
        }
        // The newest hour is that of an occurrence, and so of some host's clock: one that is wrong may drop the
        // sparkline of a week, and no more than that.
        if let Some(newest) = self.hours.keys().next_back().copied() {
            self.hours = self.hours.split_off(&newest.saturating_sub(HOURS_KEPT - 1));
        }
        let newest = occurrences.samples.iter().rev().chain(&self.samples);
        self.samples = newest.take(SAMPLES_MAX).cloned().collect();
    }

    /// Occurrences in each of the last [`HOURS_KEPT`] hours, the oldest first, at a time in milliseconds since 1970.
    #[must_use]
    pub fn sparkline(&self, now_ms: i64) -> Vec<u64> {
        let now = hour_of(now_ms);
        (now - HOURS_KEPT + 1..=now).map(|hour| self.hours.get(&hour).copied().unwrap_or(0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(at_ms: i64, version: u32) -> Occurrence {
        Occurrence { at_ms, version, execution: format!("{at_ms:026}") }
    }

    fn place(line: u32) -> Option<Place> {
        Some(Place { function: None, file: "src/index.ts".into(), line, column: 1 })
    }

    fn occurrences(at_ms: i64, version: u32, count: u64) -> Occurrences {
        let group = Group { id: "0".repeat(16), title: "Error: no".into(), place: place(1) };
        let mut all = Occurrences::new(group, Some("exception".into()), seen(at_ms, version));
        (1..count).for_each(|_| all.add(seen(at_ms, version), place(version)));
        all
    }

    #[test]
    fn occurrences_are_counted_exactly_and_by_the_hour() {
        let mut issue = Issue::new(&occurrences(1, 1, 3));
        assert_eq!(issue.record(&occurrences(HOUR_MS, 1, 4)), None);
        assert_eq!(issue.count, 7);
        assert_eq!((issue.first.at_ms, issue.last.at_ms), (1, HOUR_MS));
        let line = issue.sparkline(HOUR_MS);
        assert_eq!((line.len() as i64, &line[line.len() - 2..]), (HOURS_KEPT, &[3, 4][..]));
        issue.record(&occurrences(HOURS_KEPT * HOUR_MS, 1, 1));
        assert_eq!(
            issue.hours.keys().copied().collect::<Vec<_>>(),
            [1, HOURS_KEPT],
            "the first hour is over a week ago"
        );
        assert_eq!(issue.count, 8, "and is counted all the same");
    }

    #[test]
    fn the_place_is_that_of_the_last_occurrence_and_samples_are_bounded() {
        let mut issue = Issue::new(&occurrences(5, 1, 1));
        issue.record(&occurrences(9, 7, 30));
        assert_eq!(issue.place, place(7));
        issue.record(&occurrences(2, 3, 1));
        assert_eq!(issue.place, place(7), "an older one that comes later does not matter");
        assert_eq!((issue.samples.len(), issue.newest_version, issue.first.at_ms), (SAMPLES_MAX, 7, 2));
    }

    #[test]
    fn what_is_resolved_comes_back_in_a_later_version_only() {
        let mut issue = Issue::new(&occurrences(1, 4, 1));
        issue.status = Status::Resolved { version: 4 };
        assert_eq!(issue.record(&occurrences(2, 4, 1)), None, "the old version still serves somewhere");
        assert_eq!(issue.record(&occurrences(3, 3, 1)), None);
        assert_eq!(issue.status, Status::Resolved { version: 4 });
        assert_eq!(issue.record(&occurrences(4, 6, 1)), Some(Transition::Regressed));
        assert_eq!(issue.status, Status::Regressed { version: 6 });
        assert_eq!(issue.record(&occurrences(5, 7, 1)), None, "it is told once");
    }

    #[test]
    fn what_is_ignored_is_new_again_after_a_count_or_a_time() {
        let ignored = |until_count, until_ms| {
            let mut issue = Issue::new(&occurrences(1, 1, 1));
            issue.status = Status::Ignored { until_count, until_ms };
            issue
        };
        let mut counted = ignored(Some(10), None);
        assert_eq!(counted.record(&occurrences(2, 1, 8)), None);
        assert_eq!(counted.record(&occurrences(3, 1, 1)), Some(Transition::Unignored));
        assert_eq!(counted.status, Status::New);
        let mut timed = ignored(None, Some(100));
        assert_eq!(timed.record(&occurrences(99, 1, 5)), None);
        assert_eq!(timed.record(&occurrences(100, 1, 1)), Some(Transition::Unignored));
        let mut forever = ignored(None, None);
        assert_eq!(forever.record(&occurrences(i64::MAX, 9, 1_000)), None);
    }
}
