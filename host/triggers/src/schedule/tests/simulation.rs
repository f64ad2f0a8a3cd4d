//! Schedules in the world's time zones over ten years, on three hosts that die and stall, also for longer than their
//! leases last, with a store whose clock jumps.
//!
//! Every due time must leave exactly one record, run or skipped with a reason, and every run must end once, or be
//! cancelled. `ELIAS_SIMULATION_TICKS` says how many due times are simulated at least, in all time zones; without it
//! these are some 250,000 of 300 schedules.

use super::super::cron::zone_names;
use super::super::{CatchUp, Decision, Overlap, Recurrence, Schedule, ScheduleState, TickDecisions};
use super::at;
use elias_delivery::clock::Now;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const HOSTS: usize = 3;
const SCHEDULES_MIN: u64 = 300;
const DAY_MS: u64 = 86_400_000;
/// How long a run stays with a host that does not renew its lease.
const LEASE_MS: u64 = 30_000;

/// A run that has not ended, as the store has it.
struct Run {
    due: u64,
    /// Grows with each claim.
    epoch: u32,
    /// Until when it is the host's that claimed it.
    lease_until: u64,
}

/// A run that a host has claimed.
struct Claim {
    due: u64,
    epoch: u32,
    /// When its work is done.
    over: u64,
}

/// The store's record of one schedule. Keys are due times, as in the table's primary key.
#[derive(Default)]
struct Store {
    next_due: Option<Now>,
    /// Whether the tick was run.
    ticks: BTreeMap<u64, bool>,
    /// Ranges that were skipped: the first due time, and the first that is not among them.
    ranges: BTreeMap<u64, u64>,
    runs: Vec<Run>,
    ended: BTreeSet<u64>,
    cancelled: BTreeSet<u64>,
}

impl Store {
    /// Writes decisions, or none of them if a tick of one is there already.
    fn commit(&mut self, decided: &TickDecisions) -> bool {
        if decided.decisions.is_empty() {
            return true;
        }
        let key = |decision: &Decision| match decision {
            Decision::Fire { due, .. } | Decision::Skip { due, .. } => due.unix_ms(),
            Decision::SkipRange { from, .. } => from.unix_ms(),
        };
        let taken = |key: u64| self.ticks.contains_key(&key) || self.ranges.contains_key(&key);
        if decided.decisions.iter().any(|decision| taken(key(decision))) {
            return false;
        }
        for decision in &decided.decisions {
            match decision {
                Decision::Fire { due, cancel_running, .. } => {
                    if *cancel_running {
                        self.cancelled.extend(self.runs.drain(..).map(|run| run.due));
                    }
                    self.ticks.insert(due.unix_ms(), true);
                    self.runs.push(Run { due: due.unix_ms(), epoch: 0, lease_until: 0 });
                }
                Decision::Skip { due, .. } => {
                    self.ticks.insert(due.unix_ms(), false);
                }
                Decision::SkipRange { from, before, .. } => {
                    self.ranges.insert(from.unix_ms(), before.unix_ms());
                }
            }
        }
        self.next_due = decided.next_due;
        true
    }

    fn look(&self, now: u64, paused: bool) -> Option<ScheduleState> {
        let running = u32::try_from(self.runs.len()).expect("few runs");
        let quota_left = u32::MAX;
        Some(ScheduleState {
            now: Now::from_unix_ms(now),
            next_due: self.next_due?,
            paused,
            running,
            waiting: 0,
            quota_left,
        })
    }

    fn run(&mut self, claim: &Claim) -> Option<&mut Run> {
        self.runs.iter_mut().find(|run| (run.due, run.epoch) == (claim.due, claim.epoch))
    }

    /// The heartbeat of a host.
    fn renew(&mut self, claims: &[Claim], now: u64) {
        for claim in claims {
            if let Some(run) = self.run(claim) {
                run.lease_until = now + LEASE_MS;
            }
        }
    }

    /// A host ends the runs whose work is done, and claims those that nobody has. Says how many ends were refused,
    /// since another host has claimed the run by now, or it was cancelled.
    fn work(&mut self, claims: &mut Vec<Claim>, now: u64, random: &mut StdRng) -> u64 {
        let mut refused = 0;
        claims.retain(|claim| {
            if claim.over > now {
                return true;
            }
            if self.run(claim).is_some() {
                self.runs.retain(|run| run.due != claim.due);
                assert!(self.ended.insert(claim.due), "a run ended twice");
            } else {
                refused += 1;
            }
            false
        });
        for run in self.runs.iter_mut().filter(|run| run.lease_until <= now) {
            (run.epoch, run.lease_until) = (run.epoch + 1, now + LEASE_MS);
            claims.push(Claim { due: run.due, epoch: run.epoch, over: now + random.gen_range(0..2 * DAY_MS) });
        }
        refused
    }

    /// How many records cover a due time.
    fn records(&self, due: u64) -> usize {
        let range = self.ranges.range(..=due).next_back().is_some_and(|(_, before)| due < *before);
        usize::from(self.ticks.contains_key(&due)) + usize::from(range)
    }
}

/// A host, with the runs that it has claimed.
#[derive(Default)]
struct Host {
    state: State,
    claims: Vec<Claim>,
}

#[derive(Default)]
enum State {
    #[default]
    Alive,
    DeadUntil(u64),
    /// It has decided and not written: it does so when it goes on.
    StalledUntil(u64, TickDecisions),
}

/// The ticks of one schedule, counted.
#[derive(Default)]
struct Counts {
    due: u64,
    run: u64,
    skipped: u64,
    in_ranges: u64,
    refused: u64,
    refused_ends: u64,
}

fn any_schedule(random: &mut StdRng, zone: &str) -> (Schedule, String) {
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

fn simulate(seed: u64, zone: &str) -> Counts {
    let mut random = StdRng::seed_from_u64(seed);
    let (schedule, name) = any_schedule(&mut random, zone);
    let (start, end) = (at("2020-01-01T00:00:00Z").unix_ms(), at("2030-01-01T00:00:00Z").unix_ms());
    let mut store = Store { next_due: schedule.arm(Now::from_unix_ms(start)), ..Store::default() };
    let mut hosts: [Host; HOSTS] = Default::default();
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
        for host in hosts.iter().filter(|host| matches!(host.state, State::Alive)) {
            store.renew(&host.claims, clock);
        }
        let mut order = [0, 1, 2];
        order.shuffle(&mut random);
        for position in order {
            let Host { state, claims } = &mut hosts[position];
            *state = match std::mem::take(state) {
                State::DeadUntil(until) if until > now => State::DeadUntil(until),
                State::StalledUntil(until, decided) if until > now => State::StalledUntil(until, decided),
                State::StalledUntil(_, decided) => {
                    counts.refused += u64::from(!store.commit(&decided));
                    counts.refused_ends += store.work(claims, clock, &mut random);
                    State::Alive
                }
                State::Alive | State::DeadUntil(_) if random.gen_bool(0.05) => {
                    claims.clear();
                    State::DeadUntil(now + random.gen_range(0..3 * DAY_MS))
                }
                State::Alive | State::DeadUntil(_) => {
                    counts.refused_ends += store.work(claims, clock, &mut random);
                    let decided = schedule.decide(&store.look(clock, paused).expect("is armed"));
                    if random.gen_bool(0.1) {
                        State::StalledUntil(now + random.gen_range(0..DAY_MS), decided)
                    } else {
                        counts.refused += u64::from(!store.commit(&decided));
                        State::Alive
                    }
                }
            };
        }
    }
    let last_look = now + DAY_MS;
    let decided = schedule.decide(&store.look(last_look, false).expect("is armed"));
    assert!(store.commit(&decided), "{name}: a host that is alone is not refused");
    let mut claims = Vec::new();
    for later in [DAY_MS, 4 * DAY_MS] {
        store.work(&mut claims, last_look + later, &mut random);
    }
    check(&schedule, &store, start, last_look, &name, &mut counts);
    counts
}

/// Each due time has exactly one record, and there is no other record.
fn check(schedule: &Schedule, store: &Store, start: u64, until: u64, name: &str, counts: &mut Counts) {
    let mut due = schedule.recurrence.next_after(Now::from_unix_ms(start));
    while let Some(moment) = due.filter(|due| due.unix_ms() <= until) {
        assert_eq!(store.records(moment.unix_ms()), 1, "{name}, seed's tick {moment:?}");
        match store.ticks.get(&moment.unix_ms()) {
            Some(true) => {
                let due = moment.unix_ms();
                assert_ne!(store.ended.contains(&due), store.cancelled.contains(&due), "{name}, the run of {moment:?}");
                counts.run += 1;
            }
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
    let zones_wanted = if wanted > 0 { zones.len() as u64 } else { 0 };
    while seed < SCHEDULES_MIN.max(zones_wanted) || total.due < wanted {
        let zone = &zones[usize::try_from(seed).expect("a number") % zones.len()];
        let counts = simulate(seed, zone);
        total.due += counts.due;
        total.run += counts.run;
        total.skipped += counts.skipped;
        total.in_ranges += counts.in_ranges;
        total.refused += counts.refused;
        total.refused_ends += counts.refused_ends;
        seed += 1;
    }
    println!(
        "{seed} schedules: {} due = {} run + {} skipped + {} skipped in ranges; refused, too late: {} ticks, {} ends",
        total.due, total.run, total.skipped, total.in_ranges, total.refused, total.refused_ends
    );
    assert_eq!(total.due, total.run + total.skipped + total.in_ranges);
    assert!(total.run > 0 && total.skipped > 0 && total.refused > 0 && total.refused_ends > 0);
}
