//! Tests of the ceilings of grants and limits.

use super::*;
use elias_host::capability::{Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime};
use std::sync::Arc;

/// A capability of an embedder's, with an amount in a table of its table, and data beside them.
struct Maps;

impl Capability for Maps {
    type Grant = ();
    type Context = ();

    fn name(&self) -> &'static str {
        "maps"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["test:maps/maps"]
    }

    fn amounts(&self) -> &'static [Amount] {
        const AMOUNTS: &[Amount] =
            &[Amount { key: "tiles", default: 10, ceiling: 100 }, Amount { key: "pool.size", default: 4, ceiling: 8 }];
        AMOUNTS
    }

    fn is_data(&self, key: &str) -> bool {
        key == "places"
    }

    fn init(&self, _: &mut HostLinker) -> wasmtime::Result<()> {
        Ok(())
    }

    async fn configure(&self, _: &ComponentInfo, _: Option<&Value>) -> Result<(), ConfigureError> {
        Ok(())
    }

    fn prepare(&self, _: &InstanceInfo, _: &Arc<()>) {}
}

fn ceilings(of_operator: &[(&str, u64)]) -> Result<Ceilings> {
    let host = Host::builder().instances(1).capability(Maps).build().expect("a host");
    let of_operator = of_operator.iter().map(|(key, ceiling)| ((*key).to_owned(), *ceiling)).collect();
    Ceilings::new(&host, &Limits::default(), &of_operator)
}

fn tenant(own: &[(&str, u64)]) -> TenantSettings {
    let ceilings = own.iter().map(|(key, ceiling)| ((*key).to_owned(), *ceiling)).collect();
    TenantSettings { ceilings, ..TenantSettings::default() }
}

fn settings(json: Value) -> VersionSettings {
    serde_json::from_value(json).expect("settings")
}

#[test]
fn what_is_above_a_ceiling_is_refused_with_key_value_and_ceiling() {
    let ceilings = ceilings(&[("limits.fuel", 1_000), ("capabilities.maps.pool.size", 5)]).expect("they are good");
    let tenant = tenant(&[
        ("capabilities.maps.tiles", 50),
        ("gateway.routes.validate.max-body-bytes", 10),
        ("supervision.queue", 7),
        ("triggers.jobs.mail.concurrency", 4),
        ("triggers.schedule.retry.attempts", 3),
    ]);
    for (asked, names) in [
        (json!({ "capabilities": { "maps": { "tiles": 51 } } }), ["capabilities.maps.tiles", "51", "50"]),
        (json!({ "capabilities": { "maps": { "tiles": 1e300 } } }), ["capabilities.maps.tiles", "1e", "50"]),
        (json!({ "capabilities": { "maps": { "tiles": [1, 99] } } }), ["capabilities.maps.tiles", "99", "50"]),
        (json!({ "capabilities": { "maps": { "pool": { "size": 6 } } } }), ["capabilities.maps.pool.size", "6", "5"]),
        (json!({ "limits": { "fuel": 1_001 } }), ["limits.fuel", "1001", "1000"]),
        (
            json!({ "gateway": { "routes": [{ "validate": { "max-body-bytes": 11 } }] } }),
            ["gateway.routes.validate.max-body-bytes", "11", "10"],
        ),
        (json!({ "supervision": { "queue": 8 } }), ["supervision.queue", "8", "7"]),
        (
            json!({ "triggers": { "jobs": { "mail": { "concurrency": 5 } } } }),
            ["triggers.jobs.mail.concurrency", "5", "4"],
        ),
        (
            json!({ "triggers": { "schedule": [{ "retry": { "attempts": 2 } }, { "retry": { "attempts": 9 } }] } }),
            ["triggers.schedule.retry.attempts", "9", "3"],
        ),
        // Not declared: nobody knows what it would be compared with.
        (
            json!({ "capabilities": { "maps": { "cells": 1 } } }),
            ["capabilities.maps.cells", "1", "does not declare this amount"],
        ),
        (
            json!({ "capabilities": { "maps": { "pool": { "depth": 1 } } } }),
            ["capabilities.maps.pool.depth", "1", "does not declare this amount"],
        ),
    ] {
        let error = ceilings.check(&tenant, &settings(asked.clone())).expect_err("too much");
        assert_eq!(error.code(), Code::AboveCeiling, "{asked}");
        for name in names {
            assert!(error.to_string().contains(name), "{asked}: {error}");
        }
    }
    let good = json!({
        "capabilities": {
            "maps": { "tiles": 50, "pool": { "size": 5 }, "places": { "Rome": [41.9, 12.5e9] } },
            "absent": { "n": 7 },
        },
        "limits": { "fuel": 1_000, "deadline-ms": u64::MAX }, "supervision": { "queue": 7 },
        "triggers": { "jobs": { "mail": { "concurrency": 4, "priority": -5 }, "other": { "concurrency": 1_000 } } },
    });
    ceilings.check(&tenant, &settings(good)).expect("nothing is above");
}

#[test]
fn defaults_and_what_was_accepted_before_are_lowered() {
    let ceilings = ceilings(&[]).expect("they are good");
    let tenant =
        tenant(&[("capabilities.maps.tiles", 7), ("capabilities.maps.pool.size", 2), ("limits.memory-bytes", 1 << 20)]);
    let grants = |maps: Value| ceilings.grants(&tenant, &settings(json!({ "capabilities": maps })));
    let lowered = json!({ "maps": { "tiles": 7, "pool": { "size": 2 } } });
    assert_eq!(Value::Object(grants(json!({ "maps": {} }))), lowered, "defaults");
    assert_eq!(Value::Object(grants(json!({ "maps": { "tiles": 80, "pool": { "size": 8 } } }))), lowered);
    let less = json!({ "maps": { "tiles": 3, "pool": { "size": 1 }, "places": { "Rome": [99, 99] } } });
    assert_eq!(Value::Object(grants(less.clone())), less, "what is below stays, and data too");
    assert!(grants(json!({})).is_empty(), "what was not granted is not");
    let limits = ceilings.limits(&tenant, &Limits::default()).expect("they are good");
    assert_eq!((limits.memory_bytes, limits.fuel), (1 << 20, Limits::default().fuel));
}

#[test]
fn a_tenants_own_ceiling_holds_in_the_hosts_place_and_unknown_keys_are_refused() {
    let ceilings = ceilings(&[("capabilities.maps.tiles", 5)]).expect("they are good");
    let asks = settings(json!({ "capabilities": { "maps": { "tiles": 60 } } }));
    assert!(ceilings.check(&tenant(&[]), &asks).is_err(), "the operator's is lower than the capability's");
    assert!(ceilings.check(&tenant(&[("capabilities.maps.tiles", 60)]), &asks).is_ok());
    let listed = ceilings.of(&tenant(&[("limits.fuel", 9)]));
    let entry = |key: &str| listed.iter().find(|entry| entry.key == key).cloned().expect(key);
    let tiles = entry("capabilities.maps.tiles");
    assert_eq!((tiles.ceiling, tiles.default, tiles.own), (Some(5), Some(10), false));
    let fuel = entry("limits.fuel");
    assert_eq!((fuel.ceiling, fuel.default, fuel.own), (Some(9), Some(Limits::default().fuel), true));
    assert_eq!(entry("limits.deadline-ms").ceiling, None);
    for key in ["capabilities.maps.tile", "limits.fule", "tiles", "capabilities.maps", "gateway.", "triggers"] {
        let error = super::tests::ceilings(&[(key, 1)]).map(|_| ()).expect_err(key);
        assert!(error.code() == Code::BadInput && error.to_string().contains(key), "{error}");
    }
}
