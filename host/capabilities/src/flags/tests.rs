use super::grant::FlagsGrant;
use super::source::{FlagSource, LiveFlags};
use elias_delivery::flag::{FLAGS_MAX, FlagSet};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};
use std::sync::Arc;

struct OneSource(Arc<LiveFlags>);

impl FlagSource for OneSource {
    fn flags_of(&self, component: &str) -> BoxFuture<'static, Result<Arc<LiveFlags>, String>> {
        let known = component == "acme/shop/staging";
        ready(if known { Ok(Arc::clone(&self.0)) } else { Err("names no service".to_owned()) }).boxed()
    }
}

async fn read(table: &Value) -> Result<FlagsGrant, String> {
    FlagsGrant::read(Some(table), None, "shop").await.map_err(|error| error.to_string())
}

async fn refused(table: &Value) -> String {
    read(table).await.map(|_| ()).expect_err("it is refused")
}

#[tokio::test]
async fn a_table_defines_flags_by_values_and_by_definitions() {
    let grant = read(&json!({ "local": {
        "banner": true,
        "limit": 7,
        "theme": { "variants": { "dark": "d", "light": "l" }, "defaultVariant": "dark" },
    } }))
    .await;
    let set = grant.expect("a grant").flags.now().expect("they are there");
    let defaults: Vec<_> =
        set.definitions().map(|(name, flag)| (name, flag.variants[&flag.default_variant].clone())).collect();
    assert_eq!(defaults, [("banner", json!(true)), ("limit", json!(7)), ("theme", json!("d"))]);
}

#[tokio::test]
async fn names_and_beginnings_of_names_are_granted() {
    let grant = read(&json!({ "names": ["banner", "shop.*"] })).await.expect("a grant");
    for (name, allowed) in [("banner", true), ("shop.v2", true), ("banners", false), ("shop", false), ("", false)] {
        assert_eq!(grant.allows(name), allowed, "{name}");
    }
    assert!(read(&json!({})).await.expect("a grant").allows("anything"));
    assert!(!read(&json!({ "names": [] })).await.expect("a grant").allows("anything"));
}

#[tokio::test]
async fn a_table_that_cannot_be_used_is_refused_with_the_key() {
    assert!(FlagsGrant::read(None, None, "shop").await.is_err(), "it has to be granted");
    let many: Map<String, Value> = (0..=FLAGS_MAX).map(|number| (format!("f{number}"), json!(true))).collect();
    for (table, expected) in [
        (json!({ "flags": {} }), "unknown field `flags`"),
        (json!({ "names": ["a*b"] }), "names: `a*b`"),
        (json!({ "names": [""] }), "names: ``"),
        (json!({ "names": vec!["a"; 101] }), "names: there are 101"),
        (json!({ "local": { "a b": true } }), "local.a b: flag must have"),
        (json!({ "local": { "a": null } }), "local.a: variants must all be"),
        (json!({ "local": { "a": { "variants": {} } } }), "local.a: missing field `defaultVariant`"),
        (json!({ "local": many }), "local: there are 501"),
    ] {
        let refused = refused(&table).await;
        assert!(refused.contains(expected), "{refused} has no {expected}");
    }
}

#[tokio::test]
async fn flags_of_a_source_take_the_place_of_those_of_the_table() {
    let live = Arc::new(LiveFlags::default());
    let source = OneSource(Arc::clone(&live));
    let table = json!({ "local": { "banner": true } });
    let grant = FlagsGrant::read(Some(&table), Some(&source), "acme/shop/staging").await.expect("a grant");
    assert!(grant.flags.now().is_none(), "they have not been read");
    live.set(FlagSet::default());
    assert!(grant.flags.now().is_some_and(|set| set.is_empty()), "the source has none");
    let refused = FlagsGrant::read(Some(&table), Some(&source), "shop").await;
    assert_eq!(refused.map(|_| ()).map_err(|error| error.to_string()), Err("names no service".to_owned()));
}
