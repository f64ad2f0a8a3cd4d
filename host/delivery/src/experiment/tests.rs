//! Tests of experiments: comparisons of simulated variants, and the assignment of requests to variants.

use super::*;
use crate::rollout::Caller;
use http::HeaderMap;
use http::header::HeaderValue;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::time::Duration;

/// How a variant behaves.
#[derive(Clone, Copy)]
struct Behaviour {
    latency_ms: f64,
    fuel: f64,
    failing: f64,
    differing: f64,
}

const BASE: Behaviour = Behaviour { latency_ms: 10.0, fuel: 1e6, failing: 0.001, differing: 0.0 };

fn observe(does: Behaviour, count: u32, random: &mut StdRng) -> VariantTotals {
    let stats = VariantStats::default();
    for _ in 0..count {
        let spread = random.gen_range(0.5..1.5);
        stats.record(&Observation {
            latency: Duration::from_secs_f64(does.latency_ms * spread / 1000.0),
            fuel: (does.fuel * random.gen_range(0.8..1.2)) as u64,
            memory_peak_bytes: 4 << 20,
            failed: random.gen_bool(does.failing),
        });
        stats.record_comparison(random.gen_bool(does.differing));
    }
    stats.observed()
}

#[test]
fn a_variant_is_better_only_if_every_interval_is_clear() {
    let mut random = StdRng::seed_from_u64(3);
    let base = observe(BASE, 5_000, &mut random);
    let table = [
        (
            "faster",
            Behaviour { latency_ms: 8.0, ..BASE },
            Verdict::Better,
            "better in latency, and not worse in anything",
        ),
        ("leaner", Behaviour { fuel: 0.9e6, ..BASE }, Verdict::Better, "better in fuel, and not worse in anything"),
        ("faster, hungrier", Behaviour { latency_ms: 8.0, fuel: 2e6, ..BASE }, Verdict::Worse, "worse in fuel"),
        ("failing", Behaviour { latency_ms: 8.0, failing: 0.05, ..BASE }, Verdict::Worse, "worse in failures"),
        (
            "other responses",
            Behaviour { latency_ms: 8.0, differing: 0.05, ..BASE },
            Verdict::Worse,
            "worse in differing responses",
        ),
    ];
    for (name, does, verdict, reason) in table {
        let other = observe(does, 5_000, &mut random);
        let comparison = Comparison::new(("base", &base), &[(name, &other)], &BetterRule::default());
        let found = &comparison.differences[0];
        assert_eq!((found.verdict, found.reason.as_str()), (verdict, reason), "{name}");
        assert_eq!(comparison.better.as_deref() == Some(name), verdict == Verdict::Better);
        assert_eq!(comparison.variants.len(), 2);
    }
}

#[test]
fn too_few_requests_decide_nothing() {
    let mut random = StdRng::seed_from_u64(4);
    let faster = Behaviour { latency_ms: 1.0, ..BASE };
    let (base, other) = (observe(BASE, 1_000, &mut random), observe(faster, 999, &mut random));
    let comparison = Comparison::new(("a", &base), &[("b", &other)], &BetterRule::default());
    assert_eq!(comparison.differences[0].reason, "each needs 1000 requests, and one has 999");
    assert_eq!(comparison.better, None);
    let nothing = VariantTotals::default();
    let comparison = Comparison::new(("a", &nothing), &[("b", &nothing)], &BetterRule::default());
    assert_eq!(comparison.variants[0].latency_ms, None);
    assert!(serde_json::to_string(&comparison).is_ok());
}

#[test]
fn of_several_better_ones_the_fastest_is_named() {
    let mut random = StdRng::seed_from_u64(5);
    let mut like = |latency_ms| observe(Behaviour { latency_ms, ..BASE }, 5_000, &mut random);
    let (base, fast, fastest) = (like(10.0), like(8.0), like(6.0));
    let others = [("fast", &fast), ("fastest", &fastest)];
    let comparison = Comparison::new(("base", &base), &others, &BetterRule::default());
    assert_eq!(comparison.better.as_deref(), Some("fastest"));
}

#[test]
fn chance_makes_an_equal_variant_better_no_more_often_than_three_intervals_allow() {
    let mut random = StdRng::seed_from_u64(6);
    let better = (0..400)
        .filter(|_| {
            let (base, other) = (observe(BASE, 2_000, &mut random), observe(BASE, 2_000, &mut random));
            Comparison::new(("a", &base), &[("b", &other)], &BetterRule::default()).better.is_some()
        })
        .count();
    // Two means vary, and each is below its interval by chance in one of 40: 20 of 400.
    assert!(better <= 32, "{better} of 400");
}

#[test]
fn what_was_observed_on_two_hosts_is_merged() {
    let mut random = StdRng::seed_from_u64(7);
    let (mut a, b) = (observe(BASE, 1_000, &mut random), observe(BASE, 500, &mut random));
    let stored: VariantTotals = serde_json::from_str(&serde_json::to_string(&b).unwrap()).unwrap();
    a.merge(&stored);
    assert_eq!((a.requests(), VariantStats::resume(a).observed().requests()), (1_500, 1_500));
}

fn table(plan: serde_json::Value) -> VariantTable {
    VariantTable::new("component", &serde_json::from_value(plan).unwrap()).unwrap()
}

#[test]
fn requests_are_spread_by_weight_and_copied_to_shadows() {
    let table = table(json!({"implementations": [
        {"name": "one", "version": 1, "weight": 3},
        {"name": "idle", "version": 2},
        {"name": "two", "version": 3, "weight": 1, "shadow": 100},
        {"name": "shadow", "version": 4, "shadow": 10},
    ]}));
    let mut random = StdRng::seed_from_u64(8);
    let headers = HeaderMap::new();
    let (mut responses, mut shadows, mut together) = ([0; 4], [0; 4], 0);
    for _ in 0..10_000 {
        let choice = table.choose(&Caller { headers: &headers, address: None, random: random.r#gen() });
        responses[choice.responds] += 1;
        choice.shadows().for_each(|position| shadows[position] += 1);
        assert!(choice.shadows().all(|position| position != choice.responds), "nobody is a shadow of itself");
        together += u32::from(choice.responds == 0 && choice.shadows().any(|position| position == 3));
    }
    assert_eq!((responses[1], responses[3]), (0, 0));
    assert!((7_300..7_700).contains(&responses[0]), "{responses:?}");
    assert_eq!((shadows[0], shadows[1], shadows[2]), (0, 0, responses[0]));
    assert!((900..1_100).contains(&shadows[3]), "{shadows:?}");
    assert!((650..850).contains(&together), "who responds and who gets a copy are independent: {together}");
}

#[test]
fn a_client_stays_with_its_variant() {
    let table = table(json!({
        "implementations": [{"name": "one", "version": 1, "weight": 1}, {"name": "two", "version": 2, "weight": 1}],
        "sticky": {"header": "x-user"},
    }));
    let responses = |user: u32, random| {
        let headers = HeaderMap::from_iter([("x-user".parse().unwrap(), HeaderValue::from(user))]);
        table.choose(&Caller { headers: &headers, address: None, random }).responds
    };
    assert!((0..100).all(|user| responses(user, 1) == responses(user, u64::MAX)));
    let first = (0..1_000).filter(|user| responses(*user, 0) == 0).count();
    assert!((440..560).contains(&first), "{first}");
}

#[test]
fn plans_and_rules_out_of_bounds_name_the_key() {
    let one = |variant: serde_json::Value| json!({"implementations": [variant]});
    let many: Vec<_> = (0..17).map(|n| json!({"name": n.to_string(), "version": 1, "weight": 1})).collect();
    let wrong_name =
        "stages.implementations.name must have between 1 and 64 letters, digits, dots, hyphens and underscores";
    let table = [
        (json!({"implementations": []}), "stages.implementations is 0; it must be between 1 and 16"),
        (json!({"implementations": many}), "stages.implementations is 17; it must be between 1 and 16"),
        (one(json!({"name": "", "version": 1, "weight": 1})), wrong_name),
        (one(json!({"name": "a\n", "version": 1, "weight": 1})), wrong_name),
        (
            json!({"implementations": [{"name": "a", "version": 1, "weight": 1}], "ignore-headers": ["a b"]}),
            "stages.ignore-headers must be header names, and \"a b\" is not",
        ),
        (
            one(json!({"name": "a", "version": 1})),
            "stages.implementations.weight must be more than 0 for at least one implementation",
        ),
        (
            one(json!({"name": "a", "version": 1, "weight": 10_001})),
            "stages.implementations.weight is 10001; it must be between 0 and 10000",
        ),
        (
            one(json!({"name": "a", "version": 1, "weight": 1, "shadow": 101})),
            "stages.implementations.shadow is 101; it must be between 0 and 100",
        ),
        (
            json!({"implementations": [{"name": "a", "version": 1, "weight": 1}, {"name": "a", "version": 2}]}),
            "stages.implementations.name must be unique, and \"a\" occurs twice",
        ),
    ];
    for (plan, message) in table {
        let plan: ExperimentPlan = serde_json::from_value(plan).unwrap();
        assert_eq!(VariantTable::new("component", &plan).unwrap_err().to_string(), message);
    }
    assert_eq!(BetterRule::default().check(), Ok(()));
    let rule = BetterRule { margin: f64::NAN, ..BetterRule::default() };
    assert_eq!(rule.check().unwrap_err().key(), "stages.better.margin");
}
