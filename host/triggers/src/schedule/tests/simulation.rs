//! Schedules in the world's time zones over ten years, on three hosts that die and stall, with a store whose clock
//! jumps.
//!
//! Every due time must leave exactly one record, run or skipped with a reason. `ELIAS_SIMULATION_TICKS` says how many
//! due times are simulated at least (300 schedules and some 250,000 without it).

use super::super::cron::zone_names;
use super::super::{CatchUp, Decision, Look, Overlap, Recurrence, Schedule, Verdict};
use super::at;
use elias_delivery::clock::Now;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::Duration;

const HOSTS: usize = 3;
const SCHEDULES_MIN: u64 = 300;
const DAY_MS: u64 = 86_400_000;

/// What the store has of one schedule. Keys are due times, as in the table's primary key.
#[derive(Default)]
struct Store {
    next_due: Option<Now>,
    /// Whether the tick was run.
    ticks: BTreeMap<u64, bool>,
    /// Ranges that were skipped: the first due time, and the first that is not among them.
    ranges: BTreeMap<u64, u64>,
    /// When runs are over.
    runs: Vec<u64>,
}

impl Store {
    /// Writes a verdict, or nothing of it if a tick of it is there already.
    fn commit(&mut self, verdict: &Verdict, now: u64, random: &mut StdRng) -> bool {
        if verdict.decisions.is_empty() {
            return true;
        }
        let key = |decision: &Decision| match decision {
            Decision::Fire { due, .. } | Decision::Skip { due, .. } => due.unix_ms(),
            Decision::SkipRange { from, .. } => from.unix_ms(),
        };
        let taken = |key: u64| self.ticks.contains_key(&key) || self.ranges.contains_key(&key);
        if verdict.decisions.iter().any(|decision| taken(key(decision))) {
            return false;
        }
        for decision in &verdict.decisions {
            match decision {
                Decision::Fire { due, cancel_running, .. } => {
                    if *cancel_running {
                        self.runs.clear();
                    }
                    self.ticks.insert(due.unix_ms(), true);
                    self.runs.push(now + random.gen_range(0..2 * DAY_MS));
                }
                Decision::Skip { due, .. } => {
                    self.ticks.insert(due.unix_ms(), false);
                }
                Decision::SkipRange { from, before, .. } => {
                    self.ranges.insert(from.unix_ms(), before.unix_ms());
                }
            }
        }
        self.next_due = verdict.next_due;
        true
    }

    fn look(&mut self, now: u64, paused: bool) -> Option<Look> {
        self.runs.retain(|over| *over > now);
        let running = u32::try_from(self.runs.len()).expect("few runs");
        let quota_left = u32::MAX;
        Some(Look { now: Now::from_unix_ms(now), next_due: self.next_due?, paused, running, waiting: 0, quota_left })
    }

    /// How many records cover a due time.
    fn records(&self, due: u64) -> usize {
        let range = self.ranges.range(..=due).next_back().is_some_and(|(_, before)| due < *before);
        usize::from(self.ticks.contains_key(&due)) + usize::from(range)
    }
}

enum Host {
    Alive,
    DeadUntil(u64),
    /// It has decided and not written: it does so when it goes on.
    StalledUntil(u64, Verdict),
}

/// What came of one schedule.
#[derive(Default)]
struct Counts {
    due: u64,
    run: u64,
    skipped: u64,
    in_ranges: u64,
    refused: u64,
}

fn any_schedule(random: &mut StdRng, zones: &[String]) -> (Schedule, String) {
    let (minute, hour) = (random.gen_range(0..60), random.gen_range(0..5));
    let line = match random.gen_range(0..100) {
        0..10 => format!("{minute} {hour} 29 2 *"),
        10..45 => format!("{minute} {hour} {} * *", random.gen_range(1..32)),
        45..60 => format!("{minute} {hour} L * *"),
        60..87 => format!("{minute} {hour} * * {}", random.gen_range(0..8)),
        87..95 => format!("{minute} {hour} * * *"),
        // Often, around the changes of the clock.
        95..98 => "*/15 1-3 25-31 3,10 *".to_owned(),
        _ => "*/20 0-4 1-8 4,10,11 *".to_owned(),
    };
    let zone = zones.choose(random).expect("some zones");
    let overlaps = [Overlap::Skip, Overlap::Queue, Overlap::Cancel, Overlap::Allow];
    let schedule = Schedule {
        recurrence: Recurrence::cron(&line, zone).unwrap_or_else(|error| panic!("{line} in {zone}: {error}")),
        overlap: *overlaps.choose(random).expect("four"),
        catch_up: *[CatchUp::None, CatchUp::Last, CatchUp::All].choose(random).expect("three"),
        catch_up_max: random.gen_range(1..200),
        max_lateness: random.gen_bool(0.5).then(|| Duration::from_secs(random.gen_range(60..200_000))),
    };
    (schedule, format!("{line} in {zone}"))
}

fn simulate(seed: u64, zones: &[String]) -> Counts {
    let mut random = StdRng::seed_from_u64(seed);
    let (schedule, name) = any_schedule(&mut random, zones);
    let (start, end) = (at("2020-01-01T00:00:00Z").unix_ms(), at("2030-01-01T00:00:00Z").unix_ms());
    let mut store = Store { next_due: schedule.arm(Now::from_unix_ms(start)), ..Store::default() };
    let mut hosts: Vec<Host> = (0..HOSTS).map(|_| Host::Alive).collect();
    let (mut now, mut paused, mut counts) = (start, false, Counts::default());
    while now < end {
        let next_due = store.next_due.expect("is due again").unix_ms();
        now = (now + random.gen_range(0..2_000)).max(next_due + random.gen_range(0..1_500));
        if random.gen_bool(0.01) {
            // Nobody is there for up to forty days.
            now += random.gen_range(0..40 * DAY_MS);
        }
        paused = if paused { !random.gen_bool(0.2) } else { random.gen_bool(0.01) };
        // The store's clock goes an hour before at times, and comes back.
        let clock = if random.gen_bool(0.02) { now + 3_600_000 } else { now };
        let mut order = [0, 1, 2];
        order.shuffle(&mut random);
        for position in order {
            let host = std::mem::replace(&mut hosts[position], Host::Alive);
            hosts[position] = match host {
                Host::DeadUntil(until) if until > now => Host::DeadUntil(until),
                Host::StalledUntil(until, verdict) if until > now => Host::StalledUntil(until, verdict),
                Host::StalledUntil(_, verdict) => {
                    counts.refused += u64::from(!store.commit(&verdict, now, &mut random));
                    Host::Alive
                }
                Host::Alive | Host::DeadUntil(_) if random.gen_bool(0.05) => {
                    Host::DeadUntil(now + random.gen_range(0..3 * DAY_MS))
                }
                Host::Alive | Host::DeadUntil(_) => {
                    let verdict = schedule.look(&store.look(clock, paused).expect("is armed"));
                    if random.gen_bool(0.1) {
                        Host::StalledUntil(now + random.gen_range(0..DAY_MS), verdict)
                    } else {
                        counts.refused += u64::from(!store.commit(&verdict, now, &mut random));
                        Host::Alive
                    }
                }
            };
        }
    }
    let last_look = now + DAY_MS;
    let verdict = schedule.look(&store.look(last_look, false).expect("is armed"));
    assert!(store.commit(&verdict, last_look, &mut random), "{name}: a host that is alone is not refused");
    check(&schedule, &store, start, last_look, &name, &mut counts);
    counts
}

/// Each due time has exactly one record, and there is no other record.
fn check(schedule: &Schedule, store: &Store, start: u64, until: u64, name: &str, counts: &mut Counts) {
    let mut due = schedule.recurrence.next_after(Now::from_unix_ms(start));
    while let Some(moment) = due.filter(|due| due.unix_ms() <= until) {
        assert_eq!(store.records(moment.unix_ms()), 1, "{name}, seed's tick {moment:?}");
        match store.ticks.get(&moment.unix_ms()) {
            Some(true) => counts.run += 1,
            Some(false) => counts.skipped += 1,
            None => counts.in_ranges += 1,
        }
        counts.due += 1;
        due = schedule.recurrence.next_after(moment);
    }
    let recorded = u64::try_from(store.ticks.len()).expect("a number");
    assert_eq!(recorded, counts.run + counts.skipped, "{name}: a tick that was not due");
}

#[test]
fn every_due_time_is_run_or_skipped_exactly_once() {
    let wanted: u64 =
        std::env::var("ELIAS_SIMULATION_TICKS").map_or(0, |ticks| ticks.parse().expect("a number of ticks"));
    let zones = zone_names();
    assert!(zones.len() > 400, "{} zones", zones.len());
    let mut total = Counts::default();
    let mut seed = 0;
    while seed < SCHEDULES_MIN || total.due < wanted {
        let counts = simulate(seed, &zones);
        total.due += counts.due;
        total.run += counts.run;
        total.skipped += counts.skipped;
        total.in_ranges += counts.in_ranges;
        total.refused += counts.refused;
        seed += 1;
    }
    println!(
        "{seed} schedules: {} due = {} run + {} skipped + {} skipped in ranges; {} writes of stalled hosts refused",
        total.due, total.run, total.skipped, total.in_ranges, total.refused
    );
    assert_eq!(total.due, total.run + total.skipped + total.in_ranges);
    assert!(total.run > 0 && total.skipped > 0 && total.refused > 0);
}
