//! Whole rollouts against a seeded chance: 100 requests a second, and a look each second.

use super::*;
use crate::clock::Now;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

const REQUESTS_PER_SECOND: u64 = 100;
const WINDOW_SECONDS: u64 = 120;

/// How a version behaves.
#[derive(Clone, Copy)]
struct Behaviour {
    failing: f64,
    latency_ms: f64,
    fuel: u64,
}

const SOUND: Behaviour = Behaviour { failing: 0.0, latency_ms: 8.0, fuel: 2_000_000 };

struct Run {
    state: RolloutState,
    seconds: u64,
    requests: u64,
    failures: u64,
    canary: VersionMetrics,
    reason: String,
}

/// Plays a rollout to its end, or for `seconds`.
fn play(plan: &RolloutPlan, canary_does: Behaviour, base_does: Behaviour, seed: u64, seconds: u64) -> Run {
    let mut random = StdRng::seed_from_u64(seed);
    let (canary, base) = (ReleaseStats::default(), ReleaseStats::default());
    let mut now_ms = 1_800_000_000_000;
    let (mut rollout, _) = Rollout::start(seed.to_string(), plan.clone(), Now::from_unix_ms(now_ms)).unwrap();
    let assigner = Assigner::new(rollout.id(), &plan.sticky).unwrap();
    let headers = http::HeaderMap::new();
    let (mut requests, mut failures, mut second) = (0, 0, 0);
    while !rollout.state().is_final() && second < seconds {
        rollout.on_tick(&canary, &base, Now::from_unix_ms(now_ms));
        for _ in 0..REQUESTS_PER_SECOND {
            now_ms += 1000 / REQUESTS_PER_SECOND;
            let caller = Caller { headers: &headers, address: None, random: random.r#gen() };
            let to_canary = assigner.bucket(&caller) < rollout.buckets();
            let (stats, does) = if to_canary { (&canary, canary_does) } else { (&base, base_does) };
            let failed = random.gen_bool(does.failing);
            // Most answer in about the usual time, and some take ten times as long.
            let latency = -does.latency_ms * f64::ln(1.0 - random.r#gen::<f64>());
            let fuel = does.fuel / 2 + random.gen_range(0..does.fuel);
            stats.record(failed, Duration::from_secs_f64(latency / 1000.0), fuel);
            (requests, failures) = (requests + 1, failures + u64::from(failed));
            if to_canary {
                rollout.on_result(failed, &canary, &base, Now::from_unix_ms(now_ms));
            }
        }
        second += 1;
    }
    let status = rollout.status();
    let canary = canary.snapshot().figures();
    Run { state: status.state, seconds: second, requests, failures, canary, reason: status.reason }
}

/// Plays many with seeds of their own.
fn play_many(runs: u64, canary: Behaviour, base: Behaviour, plan: &RolloutPlan, seconds: u64) -> Vec<Run> {
    let half = |seeds: std::ops::Range<u64>| seeds.map(|seed| play(plan, canary, base, seed, seconds)).collect();
    std::thread::scope(|scope| {
        let first = scope.spawn(move || -> Vec<Run> { half(0..runs / 2) });
        let mut all: Vec<Run> = (runs / 2..runs).map(|seed| play(plan, canary, base, seed, seconds)).collect();
        all.extend(first.join().expect("the simulation does not panic"));
        all
    })
}

fn ended(runs: &[Run], state: RolloutState) -> usize {
    runs.iter().filter(|run| run.state == state).count()
}

fn figures(name: &str, runs: &[Run]) {
    let spread = |figure: &dyn Fn(&Run) -> u64| {
        let mut all: Vec<u64> = runs.iter().map(figure).collect();
        all.sort_unstable();
        format!("median {} p99 {} most {}", all[all.len() / 2], all[all.len() * 99 / 100], all[all.len() - 1])
    };
    println!("{name}: rolled back {} of {}", ended(runs, RolloutState::RolledBack), runs.len());
    println!("  promoted {}", ended(runs, RolloutState::Promoted));
    println!("  seconds {}", spread(&|run| run.seconds));
    println!("  requests of the canary {}", spread(&|run| run.canary.requests));
    println!("  failed requests {}", spread(&|run| run.failures));
    println!("  of all requests until then {}", spread(&|run| run.requests));
    println!("  such as: {}", runs[0].reason);
}

#[test]
fn a_canary_that_fails_20_percent_is_rolled_back_before_1_percent_of_the_windows_requests_failed() {
    let failing = Behaviour { failing: 0.2, ..SOUND };
    let runs = play_many(1_000, failing, SOUND, &RolloutPlan::default(), WINDOW_SECONDS);
    figures("20 % against 0 %", &runs);
    assert_eq!(ended(&runs, RolloutState::RolledBack), 1_000);
    let allowed = REQUESTS_PER_SECOND * WINDOW_SECONDS / 100;
    assert!(runs.iter().all(|run| run.failures < allowed));
}

#[test]
fn a_canary_that_fails_20_percent_is_rolled_back_also_when_the_base_fails_1_percent() {
    let (canary, base) = (Behaviour { failing: 0.2, ..SOUND }, Behaviour { failing: 0.01, ..SOUND });
    let runs = play_many(1_000, canary, base, &RolloutPlan::default(), WINDOW_SECONDS);
    figures("20 % against 1 %", &runs);
    assert_eq!(ended(&runs, RolloutState::RolledBack), 1_000);
    assert!(runs.iter().all(|run| run.failures < REQUESTS_PER_SECOND * WINDOW_SECONDS / 100));
}

#[test]
fn a_canary_that_is_as_good_as_the_base_is_promoted() {
    let same = Behaviour { failing: 0.01, ..SOUND };
    let runs = play_many(1_000, same, same, &RolloutPlan::default(), 3_600);
    figures("1 % against 1 %", &runs);
    assert!(ended(&runs, RolloutState::Promoted) >= 990);
}

#[test]
fn a_canary_that_is_as_bad_as_is_tolerated_is_hardly_ever_rolled_back_however_often_it_is_looked_at() {
    let (canary, base) = (Behaviour { failing: 0.02, ..SOUND }, Behaviour { failing: 0.01, ..SOUND });
    let runs = play_many(200, canary, base, &RolloutPlan::default(), 900);
    figures("2 % against 1 %, of which 1 % more is tolerated", &runs);
    assert!(ended(&runs, RolloutState::RolledBack) <= 1);
}

#[test]
fn a_canary_that_is_slower_or_works_harder_is_rolled_back() {
    for (name, canary) in [
        ("three times as slow", Behaviour { latency_ms: 24.0, ..SOUND }),
        ("twice the fuel", Behaviour { fuel: 4_000_000, ..SOUND }),
    ] {
        let runs = play_many(100, canary, SOUND, &RolloutPlan::default(), 3_600);
        figures(name, &runs);
        assert_eq!(ended(&runs, RolloutState::RolledBack), 100);
    }
}
