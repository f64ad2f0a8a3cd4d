//! Groups of alerts that are notified together: one notification for each change of a group.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What receivers know of a group. It is stored between evaluations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertGroup {
    /// The alerts that receivers were told of as firing, and not yet as resolved.
    notified: BTreeSet<String>,
    /// Since when there is a change that receivers were not told of, in milliseconds since 1970.
    changed_at: Option<i64>,
    /// When receivers were told last, in milliseconds since 1970.
    notified_at: Option<i64>,
}

/// An alert of a group, at an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMember<'a> {
    /// Names it within the group.
    pub key: &'a str,
    /// Whether it fires.
    pub is_firing: bool,
    /// Whether a silence matches it.
    pub is_silenced: bool,
}

/// A change of a group of which receivers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// All alerts that fire and are not silenced.
    pub firing: Vec<String>,
    /// The alerts that fired when receivers were told last, and do not fire any more.
    pub resolved: Vec<String>,
}

impl AlertGroup {
    /// Takes the alerts of the group at the time `now_ms` into account; says of what receivers are to be told now.
    /// `members` are all alerts of the group: one that is missing does not fire.
    ///
    /// A new group waits for `wait_seconds` for further alerts. From the last notification on, changes are collected
    /// for `interval_seconds`; what is undone within that time was no change.
    pub fn step(
        &mut self,
        members: &[GroupMember<'_>],
        wait_seconds: u64,
        interval_seconds: u64,
        now_ms: i64,
    ) -> Option<GroupChange> {
        let of = |key: &str| members.iter().find(|member| member.key == key);
        // Nobody is told that a silenced alert is resolved.
        self.notified.retain(|key| of(key).is_none_or(|member| member.is_firing || !member.is_silenced));
        let firing: Vec<_> = members.iter().filter(|member| member.is_firing && !member.is_silenced).collect();
        let is_new = firing.iter().any(|member| !self.notified.contains(member.key));
        let resolved: Vec<_> =
            self.notified.iter().filter(|key| of(key).is_none_or(|member| !member.is_firing)).cloned().collect();
        if !is_new && resolved.is_empty() {
            self.changed_at = None;
            return None;
        }
        // A clock that was set back would otherwise delay what is to be told by as much.
        let changed_at = self.changed_at.map_or(now_ms, |at| at.min(now_ms));
        self.changed_at = Some(changed_at);
        self.notified_at = self.notified_at.map(|at| at.min(now_ms));
        let wait_seconds = if self.notified.is_empty() { wait_seconds } else { 0 };
        let after =
            |at: i64, seconds: u64| at.saturating_add(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX));
        let told_at = self.notified_at.map_or(i64::MIN, |at| after(at, interval_seconds));
        if now_ms < after(changed_at, wait_seconds).max(told_at) {
            return None;
        }
        for key in &resolved {
            self.notified.remove(key);
        }
        let firing: Vec<_> = firing.into_iter().map(|member| member.key.to_owned()).collect();
        self.notified.extend(firing.iter().cloned());
        (self.changed_at, self.notified_at) = (None, Some(now_ms));
        Some(GroupChange { firing, resolved })
    }

    /// Whether nothing would be different without it: no receiver waits to be told anything, and the interval since the
    /// last notification is over.
    #[must_use]
    pub fn is_idle(&self, interval_seconds: u64, now_ms: i64) -> bool {
        let interval_ms = i64::try_from(interval_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.notified.is_empty()
            && self.changed_at.is_none()
            && self.notified_at.is_none_or(|at| now_ms.saturating_sub(at) >= interval_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AlertRuleSettings, AlertTracker, MetricName};
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: u64 = 300;

    fn member(key: &str, is_firing: bool) -> GroupMember<'_> {
        GroupMember { key, is_firing, is_silenced: false }
    }

    fn change(firing: &[&str], resolved: &[&str]) -> Option<GroupChange> {
        let texts = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Some(GroupChange { firing: texts(firing), resolved: texts(resolved) })
    }

    #[test]
    fn a_group_is_told_of_once_for_each_change() {
        let mut group = AlertGroup::default();
        let mut step = |members: &[GroupMember<'_>], seconds: i64| group.step(members, 0, INTERVAL, seconds * 1_000);
        assert_eq!(step(&[member("a", false)], 0), None);
        assert_eq!(step(&[member("a", true), member("b", true)], 10), change(&["a", "b"], &[]));
        assert_eq!(step(&[member("a", true), member("b", true)], 1_000), None, "nothing has changed");
        assert_eq!(step(&[member("a", true), member("b", false)], 1_010), change(&["a"], &["b"]));
        assert_eq!(step(&[], 1_020), None, "not within the interval");
        assert_eq!(step(&[], 1_310), change(&[], &["a"]), "an alert that is gone is resolved");
    }

    #[test]
    fn a_new_group_waits_for_more_and_what_is_undone_was_no_change() {
        let mut group = AlertGroup::default();
        let mut step = |members: &[GroupMember<'_>], seconds: i64| group.step(members, 30, INTERVAL, seconds * 1_000);
        assert_eq!(step(&[member("a", true)], 0), None);
        assert_eq!(step(&[member("a", false)], 10), None);
        assert_eq!(step(&[member("a", true)], 40), None, "the wait begins anew");
        assert_eq!(step(&[member("a", true), member("b", true)], 70), change(&["a", "b"], &[]));
        assert_eq!(step(&[member("a", false), member("b", true)], 80), None);
        assert_eq!(step(&[member("a", true), member("b", true)], 90), None);
        assert_eq!(step(&[member("a", true), member("b", true)], 10_000), None, "it fired all the time");
    }

    #[test]
    fn nobody_is_told_of_silenced_alerts() {
        let silenced = |is_firing| [GroupMember { key: "a", is_firing, is_silenced: true }];
        let mut group = AlertGroup::default();
        assert_eq!(group.step(&silenced(true), 0, 0, 0), None);
        assert_eq!(group.step(&[member("a", true)], 0, 0, 1_000), change(&["a"], &[]), "the silence has ended");
        assert_eq!(group.step(&silenced(true), 0, 0, 2_000), None, "a silence resolves nothing");
        assert_eq!(group.step(&silenced(false), 0, 0, 3_000), None);
        assert_eq!(group.step(&[member("a", false)], 0, 0, 4_000), None, "it is not told later either");
        assert!(group.is_idle(0, 4_000));
    }

    #[test]
    fn a_clock_that_was_set_back_delays_no_notification_by_more_than_the_interval() {
        let mut group = AlertGroup::default();
        assert!(group.step(&[member("a", true)], 0, INTERVAL, 10_000_000).is_some());
        assert_eq!(group.step(&[member("a", true), member("b", true)], 0, INTERVAL, 1_000), None);
        assert!(group.step(&[member("a", true), member("b", true)], 0, INTERVAL, 301_000).is_some());
    }

    #[test]
    fn a_metric_that_flaps_each_30_seconds_gives_one_notification() {
        for for_seconds in [0, 20] {
            let rule = AlertRuleSettings { for_seconds, ..AlertRuleSettings::new(MetricName::ErrorPercent) };
            let (mut alert, mut group, mut told) = (AlertTracker::default(), AlertGroup::default(), 0);
            for tick in 0..2_000_i64 {
                let value = if (tick / 3) % 2 == 0 { 9.0 } else { 0.0 };
                alert.step(&rule, Some(value), tick * 10_000);
                let members = [member("a", alert.state.is_firing())];
                let changed = group.step(&members, 0, rule.group_interval_seconds, tick * 10_000);
                told += i32::from(changed.is_some());
            }
            assert_eq!(told, 1, "for {for_seconds} s");
        }
    }

    proptest! {
        /// Whatever fires and is resolved, receivers that believe what they are told know in the end what fires, and no
        /// two notifications are closer than the interval.
        #[test]
        fn receivers_know_in_the_end_what_fires(
            steps in prop::collection::vec((0_u8..16, 0_u8..16, 1_i64..400), 1..60),
            wait in 0_u64..60,
            interval in 0_u64..400,
        ) {
            const KEYS: [&str; 4] = ["a", "b", "c", "d"];
            let (mut group, mut known) = (AlertGroup::default(), BTreeSet::<String>::new());
            let (mut now, mut last) = (0_i64, None::<i64>);
            let mut tell = |group: &mut AlertGroup, firing: u8, silenced: u8, now: i64| {
                let members = KEYS.into_iter().enumerate().map(|(at, key)| GroupMember {
                    key,
                    is_firing: (firing >> at) & 1 == 1,
                    is_silenced: (silenced >> at) & 1 == 1,
                });
                let members: Vec<_> = members.collect();
                let change = group.step(&members, wait, interval, now * 1_000)?;
                known.retain(|key| !change.resolved.contains(key));
                known.extend(change.firing);
                Some(known.clone())
            };
            for (firing, silenced, seconds) in steps {
                now += seconds;
                if tell(&mut group, firing, silenced, now).is_some() {
                    let apart = last.is_none_or(|last| now - last >= i64::try_from(interval).expect("small"));
                    prop_assert!(apart, "two notifications within the interval");
                    last = Some(now);
                }
            }
            // Everything fires for long, then nothing does, without silences.
            for (firing, wanted) in [(15, 4), (0, 0)] {
                let mut known = None;
                for _ in 0..3 {
                    now += 1_000;
                    known = tell(&mut group, firing, 0, now).or(known);
                }
                if let Some(known) = known {
                    prop_assert_eq!(known.iter().filter(|key| KEYS.contains(&key.as_str())).count(), wanted);
                }
            }
        }
    }
}
