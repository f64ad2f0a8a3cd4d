use super::*;
use crate::test_store::{create_tenant, sqlite};
use cap_std::ambient_authority;
use elias_api::Actor;
use elias_delivery::flag::{EvaluationContext, ValueType};
use serde_json::json;
use std::path::Path;

const PRODUCTION: &str = "acme/shop/production";

/// The flags of a host over a store, with their files in a folder.
fn sets(store: &Store, folder: &Path) -> FlagSets {
    let files = Dir::open_ambient_dir(folder, ambient_authority()).expect("a folder");
    let sets = FlagSets::new();
    sets.bind(store.clone(), files);
    sets
}

/// Sets the flag `banner` of `acme` in production, as another host does.
async fn set_banner(store: &Store, value: &str) {
    let definition = json!({ "variants": { "only": value }, "defaultVariant": "only" });
    let definition = serde_json::from_value(definition).expect("a definition");
    let mut scope = store.write(&"acme".parse().expect("a name")).await.expect("a scope");
    scope.set_flag(Environment::Production, "banner", &definition, None, &Actor::host()).await.expect("set");
    scope.commit().await.expect("committed");
}

/// The value of the flag `banner` as JSON; none if there is no such flag.
fn banner(flags: &LiveFlags) -> Option<String> {
    let set = flags.now().expect("they were read");
    let resolution = set.get("banner")?.evaluate(ValueType::String, &EvaluationContext::default());
    resolution.expect("a value").variant.map(|(_, value)| value.to_string())
}

#[tokio::test]
async fn flags_are_followed_as_long_as_a_component_has_them() {
    let (store, folder) = sqlite();
    create_tenant(&store, &"acme".parse().expect("a name")).await;
    let sets = sets(&store, folder.path());
    let before = store.changes().await.expect("read");
    let flags = sets.flags_of(PRODUCTION).await.expect("a service");
    assert_eq!(banner(&flags), None);
    set_banner(&store, "one").await;
    assert_eq!(banner(&flags), None, "nobody has told the host");
    sets.follow_changes(before).await.expect("followed");
    assert_eq!(banner(&flags).as_deref(), Some("\"one\""));
    let evaluated = flags.now().expect("they were read");
    set_banner(&store, "two").await;
    sets.refresh().await.expect("followed");
    assert_eq!(banner(&flags).as_deref(), Some("\"two\""));
    assert!(evaluated.get("banner").is_some(), "evaluations under way go on with theirs");

    let (blog, staging) = ("acme/blog/production", "acme/shop/staging");
    let blog = sets.flags_of(blog).await.expect("a service");
    assert!(Arc::ptr_eq(&flags, &blog), "components of a tenant share them");
    let staging = sets.flags_of(staging).await.expect("a service");
    assert_eq!(banner(&staging), None, "another environment's");
    drop((flags, blog));
    let dev = sets.flags_of("acme/shop/dev").await.expect("a service");
    assert_eq!(sets.shared.live.lock().len(), 2, "those that nobody has are forgotten");
    drop((staging, dev));
    assert!(sets.flags_of("no service").await.is_err());
}

#[tokio::test]
async fn without_the_store_the_last_known_flags_are_used() {
    let (store, folder) = sqlite();
    create_tenant(&store, &"acme".parse().expect("a name")).await;
    set_banner(&store, "kept").await;
    drop(sets(&store, folder.path()).flags_of(PRODUCTION).await.expect("a service"));

    let elsewhere = tempfile::tempdir().expect("a folder");
    let away = Store::open(elsewhere.path(), Some("postgres://127.0.0.1:1/none")).expect("it is not asked yet");
    let sets = sets(&away, folder.path());
    let flags = sets.flags_of(PRODUCTION).await.expect("a service");
    assert_eq!(banner(&flags).as_deref(), Some("\"kept\""));
    let never_read = sets.flags_of("acme/shop/staging").await.expect("a service");
    assert!(never_read.now().is_none(), "nothing is known of them");
    assert!(sets.shared.behind.load(Ordering::Relaxed), "they are read once the store is back");
}

#[test]
fn a_flag_of_a_later_release_is_left_out_and_the_others_are_not() {
    let key = ("acme".parse().expect("a name"), Environment::Production);
    let known = json!({ "variants": { "only": "one" }, "defaultVariant": "only" });
    let mut later = known.clone();
    later["prerequisites"] = json!(["banner"]);
    let set = set_of(&key, BTreeMap::from([("banner".to_owned(), known), ("later".to_owned(), later)]));
    assert!(set.get("banner").is_some() && set.get("later").is_none());
}
