//! Feature flags.

use super::*;
use elias_api::Actor;
use elias_delivery::flag::{DEFINITION_BYTES_MAX, FLAGS_MAX, FlagDefinition};

const PRODUCTION: Environment = Environment::Production;

fn definition(description: &str) -> FlagDefinition {
    let json = json!({ "variants": { "on": true }, "defaultVariant": "on", "description": description });
    serde_json::from_value(json).expect("a definition")
}

pub(super) async fn flags_have_revisions_and_are_a_tenants(TestStore { store, .. }: &TestStore) {
    let (a, host) = (create_tenant(store, "a").await, Actor::host());
    let before = store.changes().await.expect("read");
    let mut scope = store.write(&a).await.expect("a scope");
    let set = scope.set_flag(PRODUCTION, "banner", &definition("one"), None, &host).await.expect("made");
    assert_eq!((set.revision, &set.definition), (1, &definition("one")));
    let set = scope.set_flag(PRODUCTION, "banner", &definition("two"), Some(1), &host).await.expect("changed");
    assert_eq!(set.revision, 2);
    let stale = scope.set_flag(PRODUCTION, "banner", &definition("three"), Some(1), &host).await;
    assert_eq!(stale.expect_err("it has changed").code(), Code::Stale);
    let stale = scope.set_flag(PRODUCTION, "new", &definition("one"), Some(1), &host).await;
    assert_eq!(stale.expect_err("there is none").code(), Code::Stale);
    scope.set_flag(Environment::Staging, "banner", &definition("staging"), None, &host).await.expect("made");
    scope.commit().await.expect("committed");

    let mut scope = store.host_read().await.expect("a scope");
    let mut changed = scope.changed_flags(before).await.expect("read");
    changed.sort_unstable();
    assert_eq!(changed, [(a.clone(), Environment::Staging), (a.clone(), PRODUCTION)]);
    let latest = scope.latest_known_change().await.expect("read");
    assert_eq!(scope.changed_flags(latest).await.expect("read"), []);
    drop(scope);

    let mut scope = store.write(&a).await.expect("a scope");
    let refused = scope.delete_flag(PRODUCTION, "banner", Some(1), &host).await;
    assert_eq!(refused.expect_err("it has changed").code(), Code::Stale);
    scope.delete_flag(PRODUCTION, "banner", Some(2), &host).await.expect("deleted");
    let gone = scope.delete_flag(PRODUCTION, "banner", None, &host).await;
    assert_eq!(gone.expect_err("it is gone").code(), Code::NotFound);
    assert_eq!(scope.flag(PRODUCTION, "banner").await.expect_err("it is gone").code(), Code::NotFound);
    assert_eq!(scope.flags(PRODUCTION, "", 10).await.expect("read"), []);
    assert_eq!(scope.flags(Environment::Staging, "", 10).await.expect("read").len(), 1, "another environment's");
    // Revisions go on, so that nobody takes the new flag for the one that they have read.
    let again = scope.set_flag(PRODUCTION, "banner", &definition("again"), None, &host).await.expect("made");
    assert_eq!(again.revision, 4);
    let history = scope.flag_history(PRODUCTION, "banner", None, 10).await.expect("read");
    let revisions: Vec<_> =
        history.iter().map(|one| (one.revision, one.definition.as_ref().map(|of| of.description.as_str()))).collect();
    assert_eq!(revisions, [(4, Some("again")), (3, None), (2, Some("two")), (1, Some("one"))]);
    let page = scope.flag_history(PRODUCTION, "banner", Some(3), 1).await.expect("read");
    assert_eq!(page.iter().map(|one| one.revision).collect::<Vec<_>>(), [2]);
    scope.commit().await.expect("committed");

    let mut scope = store.read(&create_tenant(store, "b").await).await.expect("a scope");
    assert_eq!(scope.flags(PRODUCTION, "", 10).await.expect("read"), [], "another tenant's");
    assert_eq!(scope.flag_history(PRODUCTION, "banner", None, 1).await.expect_err("none").code(), Code::NotFound);
}

pub(super) async fn flags_are_bounded(TestStore { store, .. }: &TestStore) {
    let (a, host) = (create_tenant(store, "a").await, Actor::host());
    let mut scope = store.write(&a).await.expect("a scope");
    for number in 0..FLAGS_MAX {
        let name = format!("f{number:03}");
        scope.set_flag(PRODUCTION, &name, &definition(""), None, &host).await.expect("within the bound");
    }
    scope.set_flag(PRODUCTION, "f000", &definition("other"), None, &host).await.expect("no more than before");
    let over = scope.set_flag(PRODUCTION, "one-more", &definition(""), None, &host).await;
    assert_eq!(over.expect_err("one too many").code(), Code::QuotaExceeded);
    drop(scope);

    let mut scope = store.write(&a).await.expect("a scope");
    let large = definition(&"x".repeat(DEFINITION_BYTES_MAX - 100));
    let mut over = None;
    for number in 0..FLAGS_MAX {
        if let Err(error) = scope.set_flag(PRODUCTION, &format!("f{number}"), &large, None, &host).await {
            over = Some((number, error.code()));
            break;
        }
    }
    let (number, code) = over.expect("they are too large together");
    assert_eq!(code, Code::QuotaExceeded);
    assert!((60..70).contains(&number), "{number} flags of 16 KiB are a megabyte");
    drop(scope);

    let mut scope = store.write(&a).await.expect("a scope");
    for number in 0..120 {
        let next = definition(&format!("{number}"));
        scope.set_flag(PRODUCTION, "often", &next, None, &host).await.expect("changed");
    }
    let history = scope.flag_history(PRODUCTION, "often", None, 1_000).await.expect("read");
    assert_eq!((history.len(), history[0].revision), (100, 120), "the newest are kept");
    drop(scope);

    // Of the flags that were deleted the newest 500 are kept, with their revisions.
    let mut scope = store.write(&a).await.expect("a scope");
    for fill in [
        "INSERT INTO flags (tenant, environment, name, bytes, revision, changed_at, changed_by, change) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
         SELECT $1, 'production', 'd' || i, 0, 2, 0, 'x', 0 - i FROM n",
        "INSERT INTO flag_revisions (tenant, environment, name, revision, changed_at, changed_by) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) \
         SELECT $1, 'production', 'd' || i, 2, 0, 'x' FROM n",
    ] {
        let query = scope.query(fill);
        scope.run(query).await.expect("as many as are kept");
    }
    scope.set_flag(PRODUCTION, "last", &definition(""), None, &host).await.expect("made");
    scope.delete_flag(PRODUCTION, "last", None, &host).await.expect("deleted");
    for (name, revisions) in [("last", 2), ("d1", 1), ("d499", 1)] {
        let history = scope.flag_history(PRODUCTION, name, None, 10).await.expect("read");
        assert_eq!(history.len(), revisions, "{name}");
    }
    let forgotten = scope.flag_history(PRODUCTION, "d500", None, 10).await;
    assert_eq!(forgotten.expect_err("it was deleted first").code(), Code::NotFound);
    scope.set_flag(PRODUCTION, "d500", &definition(""), None, &host).await.expect("made");
    let history = scope.flag_history(PRODUCTION, "d500", None, 10).await.expect("read");
    assert_eq!(history.iter().map(|one| one.revision).collect::<Vec<_>>(), [1], "a new one");
}
