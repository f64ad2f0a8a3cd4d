//! Which versions advisories are about, and what policies refuse.

use super::advisory::AdvisorySet;
use super::policy::{PackagePolicy, PolicyOwner};
use super::sbom::Package;
use super::severity::Severity;
use serde_json::{Value, json};

fn package(name: &str, version: &str) -> Package {
    Package { name: name.into(), version: version.into(), integrity: Vec::new() }
}

/// Advisories about the package `a`, of which `affected` is the rest.
fn advisories(affected: &Value, more: &Value) -> AdvisorySet {
    let mut about = json!({ "package": { "ecosystem": "npm", "name": "a" } });
    let mut record = json!({ "id": "GHSA-1", "summary": "Something\nwrong" });
    for (object, with) in [(&mut about, affected), (&mut record, more)] {
        let members = with.as_object().expect("an object").clone();
        object.as_object_mut().expect("an object").extend(members);
    }
    record["affected"] = json!([about]);
    let mut set = AdvisorySet::default();
    set.add(record.to_string().as_bytes()).expect("an advisory");
    set
}

#[test]
fn ranges_cover_the_versions_that_the_schema_says() {
    let events = |events: Value| json!({ "ranges": [{ "type": "SEMVER", "events": events }] });
    let until = events(json!([{ "introduced": "0" }, { "fixed": "1.2.0" }]));
    let twice = events(
        json!([{ "introduced": "3.0.0" }, { "fixed": "3.1.0" }, { "introduced": "1.0.0" }, { "fixed": "1.5.0" }]),
    );
    let last = events(json!([{ "introduced": "1.0.0" }, { "last_affected": "1.2.3" }]));
    let one = events(json!([{ "introduced": "1.2.3" }, { "last_affected": "1.2.3" }]));
    let open = events(json!([{ "introduced": "2.0.0-rc.1" }]));
    let again = events(json!([{ "introduced": "0" }, { "fixed": "2.0.0" }, { "introduced": "2.0.0" }]));
    let limited = events(json!([{ "introduced": "1.0.0" }, { "limit": "2.0.0" }]));
    let short = events(json!([{ "introduced": "1" }, { "fixed": "1.2" }]));
    let unreadable = events(json!([{ "introduced": "one" }, { "fixed": "1.2.0" }]));
    let listed = json!({ "versions": ["1.0.0", "not semver"] });
    let both = json!({ "versions": ["1.0.0"],
        "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "1.1.0" }, { "fixed": "1.1.5" }] }] });
    let commits = json!({ "ranges": [{ "type": "GIT", "events": [{ "introduced": "0" }] }] });
    for (affected, version, wanted) in [
        (&until, "0.0.0-alpha", Some(Some("1.2.0"))),
        (&until, "1.1.9", Some(Some("1.2.0"))),
        (&until, "1.2.0-rc.1", Some(Some("1.2.0"))),
        (&until, "1.2.0", None),
        (&until, "1.2.0+build", None),
        // A text that is not a version may be any version.
        (&until, "main", Some(None)),
        (&twice, "0.9.0", None),
        (&twice, "1.0.0", Some(Some("1.5.0"))),
        (&twice, "1.5.0", None),
        (&twice, "3.0.5", Some(Some("3.1.0"))),
        (&twice, "3.1.0", None),
        (&last, "0.9.9", None),
        (&last, "1.2.3", Some(None)),
        (&last, "1.2.4-0", None),
        (&one, "1.2.3", Some(None)),
        (&one, "1.2.4", None),
        (&open, "2.0.0-beta", None),
        (&open, "2.0.0-rc.1", Some(None)),
        (&open, "99.0.0", Some(None)),
        (&again, "2.0.0", Some(None)),
        (&limited, "1.9.9", Some(None)),
        (&limited, "2.0.0", None),
        (&short, "1.1.9", Some(Some("1.2.0"))),
        (&short, "1.2.0", None),
        (&unreadable, "7.0.0", Some(None)),
        (&listed, "1.0.0", Some(None)),
        (&listed, "not semver", Some(None)),
        (&listed, "1.0.1", None),
        (&both, "1.0.0", Some(Some("1.1.5"))),
        (&both, "1.1.0", Some(Some("1.1.5"))),
        (&both, "1.1.5", None),
        (&commits, "1.0.0", None),
    ] {
        let found = advisories(affected, &json!({})).of(&package("a", version));
        let fixed = found.first().map(|found| found.fixed.as_deref());
        assert_eq!(fixed, wanted, "{version} in {affected}");
    }
    assert_eq!(advisories(&unreadable, &json!({})).unreadable_ranges(), 1);
    assert!(advisories(&until, &json!({})).of(&package("b", "1.0.0")).is_empty(), "another package");
}

#[test]
fn how_bad_it_is_comes_from_the_database_or_from_cvss_and_else_is_the_worst() {
    let all = json!({ "versions": ["1.0.0"] });
    let scores = |scores: &[&str]| {
        let scores: Vec<_> = scores.iter().map(|score| json!({ "type": "CVSS_V3", "score": score })).collect();
        json!({ "severity": scores })
    };
    let (high, low) = ("CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N");
    let four = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";
    for (more, wanted) in [
        (json!({ "database_specific": { "severity": "MODERATE" } }), Severity::Moderate),
        (json!({ "database_specific": { "severity": "medium" }, "severity": null }), Severity::Moderate),
        (json!({ "database_specific": { "severity": 7 } }), Severity::Critical),
        (scores(&[high]), Severity::High),
        (scores(&[low]), Severity::Low),
        (scores(&[low, high]), Severity::High),
        (scores(&[four]), Severity::Critical),
        (scores(&["nonsense"]), Severity::Critical),
        (json!({}), Severity::Critical),
    ] {
        assert_eq!(advisories(&all, &more).of(&package("a", "1.0.0"))[0].severity, wanted, "{more}");
    }
    assert!(advisories(&all, &json!({ "withdrawn": "2024-01-01T00:00:00Z" })).is_empty());
}

fn policy(settings: Value) -> PackagePolicy {
    let policy: PackagePolicy = serde_json::from_value(settings).expect("a policy");
    policy.check().expect("a good one");
    policy
}

#[test]
fn policies_refuse_what_they_name() {
    let sha512 = |byte: &str| format!("sha512-{}==", byte.repeat(86));
    let locked = |name: &str| Package { integrity: vec![sha512("A")], ..package(name, "1.0.0") };
    let packages = [locked("a"), locked("@s/b")];
    let set = advisories(
        &json!({ "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }, { "fixed": "1.0.1" }] }] }),
        &json!({ "aliases": ["CVE-1"], "database_specific": { "severity": "HIGH" } }),
    );
    for (settings, wanted) in [
        (json!({}), None),
        (json!({ "require-integrity": true }), None),
        (json!({ "allow": ["a", "@s/*"] }), None),
        (json!({ "allow": ["a@^1", "@s/c"] }), Some(("package-denied", "@s/b@1.0.0"))),
        (json!({ "allow": ["a", "@s/*"], "deny": ["a@<1.0.1"] }), Some(("package-denied", "a@<1.0.1"))),
        (json!({ "pins": { "a@1.0.0": sha512("A"), "c@1.0.0": sha512("g") } }), None),
        (json!({ "pins": { "a@1.0.0": sha512("g") } }), Some(("integrity-mismatch", "a@1.0.0"))),
        (json!({ "refuse": "critical" }), None),
        (json!({ "refuse": "none" }), None),
        (json!({ "refuse": "high" }), Some(("package-vulnerable", "npm install a@1.0.1"))),
        (json!({ "refuse": "low" }), Some(("package-vulnerable", "GHSA-1 (high): Something\\nwrong"))),
        (json!({ "refuse": "low", "ignore": ["CVE-1"] }), None),
    ] {
        let examined = policy(settings.clone()).examine(PolicyOwner::Host, Some(&packages), Some(&set));
        match (examined, wanted) {
            (Ok(()), None) => {}
            (Err(error), Some((code, said))) => {
                assert_eq!(error.code(), code, "{settings}: {error}");
                assert!(error.to_string().contains(said), "{settings}: {error}");
            }
            (examined, _) => panic!("{settings}: {examined:?}"),
        }
    }
    let integrity = policy(json!({ "require-integrity": true }));
    let refused = |packages: Option<&[Package]>, policy: &PackagePolicy, set| {
        policy.examine(PolicyOwner::Tenant, packages, set).expect_err("refused").code()
    };
    assert_eq!(refused(Some(&[package("a", "1.0.0")]), &integrity, None), "integrity-missing");
    assert_eq!(refused(None, &integrity, None), "sbom-missing", "who leaves the bill out evades nothing");
    let high = policy(json!({ "refuse": "high" }));
    assert_eq!(refused(Some(&packages), &high, None), "advisories-missing", "nor who has no advisories");
}

#[test]
fn a_refusal_names_some_of_many() {
    let packages: Vec<_> = (0..100).map(|number| package("a", &format!("1.0.{number}"))).collect();
    let error = policy(json!({ "deny": ["a"] })).examine(PolicyOwner::Host, Some(&packages), None).expect_err("denied");
    assert!(error.to_string().contains("and 90 more"), "{error}");
    assert!(error.to_string().len() < 1_000, "{error}");
}

#[test]
fn policies_are_bounded_and_well_formed() {
    let many = |count: usize| (0..count).map(|number| format!("p{number}")).collect::<Vec<_>>();
    for (settings, good) in [
        (json!({ "deny": many(1_000), "allow": many(1_000), "ignore": many(1_000) }), true),
        (json!({ "deny": many(1_001) }), false),
        (json!({ "allow": many(1_001) }), false),
        (json!({ "ignore": many(1_001) }), false),
        (json!({ "deny": ["lod*"] }), false),
        (json!({ "ignore": [""] }), false),
        (json!({ "pins": { "a": format!("sha512-{}==", "A".repeat(86)) } }), false),
        (json!({ "pins": { "a@1.0.0": "sha1-AAAA" } }), false),
        (json!({ "pins": { "a@1.0.0": "sha512-AAAA" } }), false),
    ] {
        let policy: PackagePolicy = serde_json::from_value(settings.clone()).expect("a policy");
        assert_eq!(policy.check().is_ok(), good, "{settings:.100}");
    }
}
