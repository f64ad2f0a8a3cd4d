//! Tests of who gets the canary: buckets, keys and targeting rules.

use super::super::*;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use serde_json::json;
use std::collections::HashSet;

fn bucket(sticky: &Sticky, headers: &HeaderMap, address: Option<&str>, random: u64) -> u32 {
    let address = address.map(|address| address.parse().unwrap());
    Assigner::new("r1", sticky).unwrap().bucket(&Caller { headers, address, random })
}

#[test]
fn buckets_stay_the_same_from_release_to_release() {
    let mut headers = HeaderMap::new();
    headers.insert("x-user", HeaderValue::from_static("ada"));
    let sticky = Sticky::Header("X-User".to_owned());
    // SHA-256 of "elias-bucket-1\0r1\0ada", its first 8 bytes, modulo 10,000; computed by another program.
    assert_eq!(bucket(&sticky, &headers, None, 7), 4891);
}

#[test]
fn users_are_spread_evenly_and_anew_in_each_rollout() {
    let sticky = Sticky::Header("x-user".to_owned());
    let members = |id: &str, below: u32| -> HashSet<u32> {
        let assigner = Assigner::new(id, &sticky).unwrap();
        (0..20_000)
            .filter(|user| {
                let headers = HeaderMap::from_iter([("x-user".parse().unwrap(), HeaderValue::from(*user))]);
                assigner.bucket(&Caller { headers: &headers, address: None, random: 0 }) < below
            })
            .collect()
    };
    let (tenth, quarter, other) = (members("r1", 1_000), members("r1", 2_500), members("r2", 1_000));
    assert!((1_850..2_150).contains(&tenth.len()), "{}", tenth.len());
    assert!((4_800..5_200).contains(&quarter.len()), "{}", quarter.len());
    assert!(tenth.is_subset(&quarter), "who is in at 10 % is in at 25 %");
    assert!(tenth.intersection(&other).count() < 300, "the next rollout has other canaries");
}

#[test]
fn a_worker_belongs_to_the_canary_by_its_class_and_name_and_stays_there_as_the_share_grows() {
    let members = |id: &str, sticky: &Sticky, class: &str, below: u32| -> HashSet<u32> {
        let assigner = Assigner::new(id, sticky).unwrap();
        (0..20_000).filter(|number| assigner.worker_bucket(class, &format!("user-{number}")) < below).collect()
    };
    let of = |id, class, below| members(id, &Sticky::None, class, below);
    let (tenth, half) = (of("r1", "Cart", 1_000), of("r1", "Cart", 5_000));
    assert!((1_850..2_150).contains(&tenth.len()), "{}", tenth.len());
    assert!((9_750..10_250).contains(&half.len()), "{}", half.len());
    assert!(tenth.is_subset(&half), "who is in at 10 % is in at 50 %");
    assert_eq!(members("r1", &Sticky::Address, "Cart", 1_000), tenth, "requests are told apart by something else");
    assert!(of("r1", "Cart", 0).is_empty() && of("r1", "Cart", BUCKETS).len() == 20_000);
    assert!(tenth.intersection(&of("r2", "Cart", 1_000)).count() < 300, "the next rollout has other workers");
    assert!(tenth.intersection(&of("r1", "Stock", 1_000)).count() < 300, "another class has other names");
    let assigner = Assigner::new("r1", &Sticky::None).unwrap();
    // SHA-256 of "elias-bucket-1\0r1\0worker\0Cart\0ada", its first 8 bytes, modulo 10,000; by another program.
    assert_eq!(assigner.worker_bucket("Cart", "ada"), 830);
}

#[test]
fn the_key_is_the_header_the_cookie_or_the_address() {
    let cookies = |fields: &[&str]| -> HeaderMap {
        fields.iter().map(|field| (COOKIE, HeaderValue::from_str(field).unwrap())).collect()
    };
    let sid = Sticky::Cookie("sid".to_owned());
    let expected = bucket(&sid, &cookies(&["sid=a=b"]), None, 0);
    // Field values, and whether the cookie is found in them.
    let table: [(&[&str], bool); 8] = [
        (&["other=1; sid=a=b; sid=later"], true),
        (&["other=1", " sid = a=b "], true),
        (&["sid=; sid=a=b"], true),
        (&["sid;;=;sid=a=b"], true),
        (&["SID=a=b"], false),
        (&["xsid=a=b"], false),
        (&["other=sid=a=b"], false),
        (&[], false),
    ];
    for (fields, found) in table {
        let at = |random| bucket(&sid, &cookies(fields), None, random);
        assert_eq!(at(1) == expected && at(2) == expected, found, "{fields:?}");
        assert_eq!((at(1), at(2)) == (1, 2), !found, "without the cookie chance decides: {fields:?}");
    }
    let none = HeaderMap::new();
    let address = |address| bucket(&Sticky::Address, &none, Some(address), 1);
    assert_eq!(address("192.0.2.1"), address("::ffff:192.0.2.1"));
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1:2:3"));
    assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    assert_eq!(bucket(&Sticky::Address, &none, None, 9_999), 9_999);
    assert_eq!(bucket(&Sticky::None, &none, Some("192.0.2.1"), 10_007), 7);
}

#[test]
fn the_first_flag_that_fits_gives_the_version() {
    let rules = json!([
        {"version": 7, "organization": "acme"},
        {"version": 8, "claim": "plan", "value": "beta"},
        {"version": 9, "claim": "level", "value": "3"},
        {"version": 10, "percent": 20, "sticky": "address"},
    ]);
    let table = FlagTable::new("service", serde_json::from_value(rules).unwrap()).unwrap();
    let headers = HeaderMap::new();
    let choose = |organization, claims: serde_json::Value, address: &str| {
        let caller = Caller { headers: &headers, address: address.parse().ok(), random: 0 };
        table.choose(organization, claims.as_object(), &caller)
    };
    assert_eq!(choose(Some("acme"), json!({"plan": "beta"}), "192.0.2.1"), Some(7));
    assert_eq!(choose(Some("other"), json!({"plan": "beta"}), "192.0.2.1"), Some(8));
    assert_eq!(choose(None, json!({"plan": ["alpha", "beta"]}), "192.0.2.1"), Some(8));
    assert_eq!(choose(None, json!({"level": 3, "plan": null}), "192.0.2.1"), Some(9));
    let tenths = (0..=255).filter(|n| choose(None, json!({}), &format!("192.0.2.{n}")) == Some(10)).count();
    assert!((30..75).contains(&tenths), "{tenths} of 256");
    assert!(
        (0..=255).all(|n| matches!(choose(None, json!({"plan": "betas"}), &format!("192.0.2.{n}")), None | Some(10)))
    );
}

#[test]
fn flags_that_cannot_be_used_are_refused() {
    let table = [
        (json!({"version": 1, "percent": 101}), "flags.percent is 101; it must be between 0 and 100"),
        (json!({"version": 1, "organization": ""}), "flags.organization must have between 1 and 1024 bytes"),
        (
            json!({"version": 1, "organization": "a", "claim": "b", "value": "c"}),
            "flags.claim cannot be together with organization; write two rules",
        ),
        (json!({"version": 1, "claim": "b"}), "flags.claim and value belong together"),
        (json!({"version": 1, "value": "b"}), "flags.claim and value belong together"),
        (json!({"version": 1, "sticky": {"header": ""}}), "sticky.header must be a header name"),
    ];
    for (rule, message) in table {
        let rule: FlagRule = serde_json::from_value(rule).unwrap();
        assert_eq!(FlagTable::new("service", vec![rule]).unwrap_err().to_string(), message);
    }
    let rule: FlagRule = serde_json::from_value(json!({"version": 1})).unwrap();
    assert!(FlagTable::new("service", vec![rule; 101]).is_err());
}
