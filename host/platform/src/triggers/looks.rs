//! The positions where ready and leased jobs begin, so that a look at them need not begin at the start of the index.
//!
//! While any transaction is open, PostgreSQL keeps the index entries of all jobs that were claimed since it began:
//! after ten minutes of 10,000 jobs a second these are six million, before those that are ready. So a look begins where
//! the last one found something. A look at all finds what has come before that, such as the first job of another queue,
//! one with a high priority, or one that was given back: as long as it is quick, each look is one.

use super::Runner;
use super::plan::QueueKey;
use super::queue::LEASE_MS;
use elias_api::Result;
use elias_store::{HostScope, LeasedQueue, ReadyQueue};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A look at all that takes no longer costs no more than others.
const QUICK: Duration = Duration::from_millis(2);
/// How much longer than it took it is until the next look at all, and at most.
const PAUSE_FACTOR: u32 = 20;
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a transaction may take from its statements to its commit, in milliseconds, so that what it made ready or
/// leased is found without a look at all.
const COMMIT_MS: i64 = 500;
/// Queues that are remembered.
const KNOWN_MAX: usize = 1_000;

/// The results of the last looks.
#[derive(Default)]
pub(super) struct Looks {
    ready: FullLooks,
    leased: FullLooks,
    ended: FullLooks,
    /// The lowest rank with which a job of each queue can be ready, as far as is known.
    ready_from: BTreeMap<QueueKey, i64>,
    /// When the first lease ends, as far as is known, in milliseconds since 1970.
    leased_from: i64,
    /// The time of the last look by the database's clock, in milliseconds since 1970.
    now_ms: i64,
}

/// When all is to be looked at.
#[derive(Default)]
struct FullLooks {
    next: Option<Instant>,
    /// How long the last one took.
    last: Duration,
}

impl FullLooks {
    fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// One has ended that took so long. Whatever made a single one slow was chance.
    fn note(&mut self, end: Instant, took: Duration) {
        let cost = std::mem::replace(&mut self.last, took).min(took);
        self.next = Some(end + cost.saturating_sub(QUICK).saturating_mul(PAUSE_FACTOR).min(PAUSE_MAX));
    }
}

impl Looks {
    /// The lowest rank of what becomes ready after the last look, without a head start.
    fn recent(&self) -> i64 {
        self.now_ms.saturating_sub(COMMIT_MS)
    }

    /// Notes a look at the queues that were `known` when it began, or at all: where nothing was found, there is at most
    /// what is yet to be committed.
    fn note(&mut self, known: &BTreeMap<QueueKey, i64>, found: &[ReadyQueue], now_ms: i64) {
        self.now_ms = now_ms;
        let recent = self.recent();
        let begins = |queue: &ReadyQueue| ((queue.tenant.clone(), queue.queue.clone()), queue.rank.min(recent));
        let mut ready_from: BTreeMap<QueueKey, i64> = found.iter().map(begins).collect();
        if known.len() <= KNOWN_MAX {
            known.keys().for_each(|queue| {
                ready_from.entry(queue.clone()).or_insert(recent);
            });
        }
        // What this host has enqueued meanwhile may not be among what the look has seen.
        for (queue, from) in std::mem::take(&mut self.ready_from) {
            if known.get(&queue) != Some(&from) {
                ready_from.entry(queue).and_modify(|begin| *begin = (*begin).min(from)).or_insert(from);
            }
        }
        self.ready_from = ready_from;
    }

    /// Notes that this host has enqueued a job with this head start.
    pub(super) fn enqueued(&mut self, queue: QueueKey, head_start_ms: i64) {
        let rank = self.recent().saturating_sub(head_start_ms.max(0));
        self.ready_from.entry(queue).and_modify(|from| *from = (*from).min(rank)).or_insert(rank);
    }

    /// Notes where the leases begin.
    fn note_leased(&mut self, found: &[LeasedQueue]) {
        let recent = self.now_ms.saturating_add_unsigned(LEASE_MS).saturating_sub(2 * COMMIT_MS);
        self.leased_from = found.iter().map(|queue| queue.lease_until).fold(recent, i64::min);
    }
}

impl Runner {
    /// The queues with ready jobs.
    pub(super) async fn ready_queues(&self, scope: &mut HostScope) -> Result<Vec<ReadyQueue>> {
        if !self.store.is_shared() {
            // SQLite keeps no such entries.
            return Ok(scope.ready_queues().await?);
        }
        let started = Instant::now();
        let (is_full, known) = {
            let looks = self.looks.lock();
            (looks.ready.is_due(started) || looks.ready_from.is_empty(), looks.ready_from.clone())
        };
        let look = if is_full { scope.look_at_all().await? } else { scope.look_at(&known).await? };
        let (end, mut looks) = (Instant::now(), self.looks.lock());
        if is_full {
            looks.ready.note(end, end - started);
        }
        looks.note(&known, &look.queues, look.now_ms);
        drop(looks);
        Ok(look.queues)
    }

    /// The number of running jobs of each queue, on all hosts together. Call it after
    /// [`ready_queues`](Self::ready_queues).
    pub(super) async fn leased_queues(&self, scope: &mut HostScope) -> Result<Vec<LeasedQueue>> {
        let started = Instant::now();
        let (is_full, from) = {
            let looks = self.looks.lock();
            let is_full = !self.store.is_shared() || looks.leased.is_due(started);
            (is_full, if is_full { 0 } else { looks.leased_from })
        };
        let leased = scope.leased_queues(from).await?;
        let (end, mut looks) = (Instant::now(), self.looks.lock());
        if is_full {
            looks.leased.note(end, end - started);
        }
        looks.note_leased(&leased);
        drop(looks);
        Ok(leased)
    }
}

impl Runner {
    /// Makes at most `most` jobs with expired leases ready again, and returns their number. Mostly there are none, and
    /// finding that out is a look at all that have ended since a transaction was opened.
    pub(super) async fn expire_jobs(&self, scope: &mut HostScope, most: u32) -> Result<u64> {
        let started = Instant::now();
        let is_due = !self.store.is_shared() || self.looks.lock().ended.is_due(started);
        if !is_due {
            return Ok(0);
        }
        let expired = scope.expire_jobs(most).await?;
        if expired == 0 {
            let end = Instant::now();
            self.looks.lock().ended.note(end, end - started);
        }
        Ok(expired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::{JobTrigger, QueueId};
    use elias_names::Environment;

    fn key(name: &str) -> QueueKey {
        let component = "shop".parse().expect("a name");
        let (environment, trigger, name) = (Environment::Production, JobTrigger::Job, name.to_owned());
        ("acme".parse().expect("a name"), QueueId { component, environment, trigger, name })
    }

    fn found(name: &str, rank: i64) -> ReadyQueue {
        let (tenant, queue) = key(name);
        ReadyQueue { tenant, queue, rank, ready_at: rank }
    }

    #[test]
    fn all_is_looked_at_again_by_what_it_costs() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut looks = FullLooks::default();
        assert!(looks.is_due(start), "nothing was looked at yet");
        looks.note(start, ms(1));
        assert!(looks.is_due(start), "it was quick");
        looks.note(start, ms(900));
        assert!(looks.is_due(start), "a single slow one was chance");
        looks.note(start, ms(12));
        assert!(!looks.is_due(start + ms(199)) && looks.is_due(start + ms(200)), "20 times 10 ms more than is quick");
        looks.note(start, ms(60_000));
        looks.note(start, ms(60_000));
        assert!(!looks.is_due(start + ms(4_999)) && looks.is_due(start + ms(5_000)), "never longer than that");
    }

    #[test]
    fn a_queue_begins_at_its_first_job_or_a_moment_ago() {
        let mut looks = Looks::default();
        let none = BTreeMap::new();
        looks.note(&none, &[found("old", 2_000), found("behind", 99_000)], 10_000);
        let at = |looks: &Looks, name: &str| looks.ready_from.get(&key(name)).copied();
        assert_eq!((at(&looks, "old"), at(&looks, "behind")), (Some(2_000), Some(9_500)));
        let known = looks.ready_from.clone();
        looks.note(&known, &[found("old", 3_000)], 20_000);
        assert_eq!((at(&looks, "old"), at(&looks, "behind")), (Some(3_000), Some(19_500)));
        let known = looks.ready_from.clone();
        looks.note(&known, &[], 30_000);
        assert_eq!(at(&looks, "old"), Some(29_500), "all of it was claimed, and it stays known");
    }

    #[test]
    fn a_job_that_goes_ahead_of_others_is_found() {
        let mut looks = Looks::default();
        looks.note(&BTreeMap::new(), &[], 10_000);
        looks.enqueued(key("new"), -5_000);
        assert_eq!(looks.ready_from[&key("new")], 9_500, "a later one may have none");
        looks.enqueued(key("new"), 5_000);
        looks.enqueued(key("new"), 5_000);
        looks.enqueued(key("new"), 0);
        assert_eq!(looks.ready_from[&key("new")], 4_500);
        let known = looks.ready_from.clone();
        looks.enqueued(key("new"), 6_000);
        looks.enqueued(key("other"), 6_000);
        looks.note(&known, &[found("new", 15_000)], 20_000);
        let from: Vec<_> = looks.ready_from.values().copied().collect();
        assert_eq!(from, [3_500, 3_500], "the look had begun before");
    }

    #[test]
    fn leases_begin_at_the_first_or_at_those_that_are_yet_to_be_committed() {
        let lease = |lease_until| {
            let (tenant, queue) = key("x");
            LeasedQueue { tenant, queue, leased: 1, lease_until }
        };
        let mut looks = Looks { now_ms: 100_000, ..Looks::default() };
        looks.note_leased(&[lease(129_900), lease(110_000)]);
        assert_eq!(looks.leased_from, 110_000);
        looks.note_leased(&[lease(130_000)]);
        assert_eq!(looks.leased_from, 129_000);
        looks.note_leased(&[]);
        assert_eq!(looks.leased_from, 129_000);
    }

    #[test]
    fn no_more_queues_are_remembered_than_can_be() {
        let mut looks = Looks::default();
        (0..=KNOWN_MAX).for_each(|number| looks.enqueued(key(&number.to_string()), 0));
        let known = looks.ready_from.clone();
        looks.note(&known, &[found("x", 1)], 10_000);
        assert_eq!(looks.ready_from.into_keys().collect::<Vec<_>>(), [key("x")]);
    }
}
