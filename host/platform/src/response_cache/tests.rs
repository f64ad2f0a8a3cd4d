//! Tests of the response cache of a host: shares of tenants, expiry and eviction.

use super::*;
use elias_gateway::GatewayConfig;
use futures::FutureExt;
use serde_json::json;

fn key(tenant: &str, release: u64, path: &str) -> CacheKey {
    let service = ServiceId {
        tenant: tenant.parse().expect("a name"),
        component: "shop".parse().expect("a name"),
        environment: elias_names::Environment::Production,
    };
    CacheKey { service, release, uri: format!("shop.test{path}"), identified: false }
}

fn request(language: &str) -> Parts {
    let request = http::Request::get("http://shop.test/").header("accept-language", language);
    request.body(()).expect("a request").into_parts().0
}

fn head(request: &Parts) -> StoredHeaders {
    let config = GatewayConfig::parse(&json!({ "cache": {} })).expect("a table");
    let rules = config.routes[0].rules.cache.clone().expect("the rule");
    let response = http::Response::builder().header("cache-control", "max-age=60").header("vary", "accept-language");
    let (response, ()) = response.body(()).expect("a response").into_parts();
    rules.store(request, response, &[], false, SystemTime::now()).expect("it may be kept")
}

async fn keep(cache: &Arc<ResponseCache>, key: &CacheKey, language: &str, bytes: usize) {
    let request = request(language);
    let LookupResult::Miss(Some(mut fill)) = cache.find(key, &request).await else { panic!("nothing was kept") };
    let kept = head(&request);
    fill.begin(request, kept, 1 << 20);
    fill.push(&Bytes::from(vec![b'a'; bytes]));
    fill.finish();
}

async fn is_kept(cache: &Arc<ResponseCache>, key: &CacheKey, language: &str) -> bool {
    matches!(cache.find(key, &request(language)).await, LookupResult::Hit(..))
}

#[tokio::test]
async fn responses_are_of_a_release_and_of_what_they_vary_by() {
    let cache = ResponseCache::new();
    keep(&cache, &key("acme", 1, "/"), "de", 10).await;
    keep(&cache, &key("acme", 1, "/"), "en", 10).await;
    for (key, language, kept) in [
        (key("acme", 1, "/"), "de", true),
        (key("acme", 1, "/"), "en", true),
        (key("acme", 1, "/"), "fr", false),
        (key("acme", 2, "/"), "de", false),
        (key("other", 1, "/"), "de", false),
        (key("acme", 1, "/x"), "de", false),
    ] {
        assert_eq!(is_kept(&cache, &key, language).await, kept, "{key:?} {language}");
    }
    for language in 0..20 {
        keep(&cache, &key("acme", 1, "/"), &language.to_string(), 10).await;
    }
    let Some(CacheEntry::Responses(all)) = cache.entries.get(&key("acme", 1, "/")) else { panic!("they are kept") };
    assert_eq!(all.len(), VARIANTS_MAX);
    cache.purge(&key("acme", 1, "/").service);
    assert!(!is_kept(&cache, &key("acme", 1, "/"), "19").await);
    let is_empty = |_| {
        cache.entries.run_pending_tasks();
        lock(&cache.used).is_empty()
    };
    assert!((0..1_000).any(is_empty), "all is given back");
}

#[tokio::test]
async fn a_tenant_has_its_share_and_the_host_its_bounds() {
    let cache = ResponseCache::within(200_000, 60_000);
    for i in 0..100 {
        keep(&cache, &key("greedy", 1, &format!("/{i}")), "de", 10_000).await;
    }
    keep(&cache, &key("modest", 1, "/"), "de", 10_000).await;
    assert!(is_kept(&cache, &key("modest", 1, "/"), "de").await);
    assert!(lock(&cache.used).values().all(|bytes| *bytes <= 60_000), "{:?}", cache.used);
    for tenant in 0..20 {
        for i in 0..5 {
            keep(&cache, &key(&format!("t{tenant}"), 1, &format!("/{i}")), "de", 10_000).await;
        }
    }
    cache.entries.run_pending_tasks();
    assert!(cache.entries.weighted_size() <= 200_000, "{}", cache.entries.weighted_size());
    let used: u64 = lock(&cache.used).values().sum();
    assert_eq!(used, cache.entries.weighted_size(), "what is counted is what there is");
}

#[tokio::test]
async fn one_fetches_and_the_others_wait_for_it() {
    let cache = ResponseCache::new();
    let (key, asked) = (key("acme", 1, "/"), request("de"));
    let LookupResult::Miss(Some(mut fill)) = cache.find(&key, &asked).await else { panic!("nothing was kept") };
    let mut second = Box::pin(cache.find(&key, &asked));
    assert!(second.as_mut().now_or_never().is_none(), "it waits");
    fill.begin(request("de"), head(&asked), 100);
    fill.push(&Bytes::from_static(b"once"));
    fill.finish();
    assert!(matches!(second.await, LookupResult::Hit(kept, None) if kept.body == "once"));

    let other = CacheKey { uri: "shop.test/other".into(), ..key };
    let LookupResult::Miss(Some(fill)) = cache.find(&other, &asked).await else { panic!("nothing was kept") };
    let mut second = Box::pin(cache.find(&other, &asked));
    assert!(second.as_mut().now_or_never().is_none());
    drop(fill);
    let LookupResult::Miss(Some(mut fill)) = second.await else { panic!("the next one's turn") };
    fill.begin(request("de"), head(&asked), 3);
    fill.push(&Bytes::from_static(b"long"));
    drop(fill);
    assert!(matches!(cache.find(&other, &asked).await, LookupResult::Miss(None)), "too long: nobody waits for that");
}

mod model {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    const HOST_BYTES: u64 = 24_000;
    const TENANT_BYTES: u64 = 8_000;

    #[derive(Debug, Clone)]
    enum Step {
        Keep(usize),
        Pass,
        Find,
        Purge,
    }

    fn step() -> impl Strategy<Value = (CacheKey, &'static str, Step)> {
        let key = (select(vec!["a", "b", "c", "d", "e"]), 1_u64..3, select(vec!["/", "/x"]), any::<bool>());
        let key = key.prop_map(|(tenant, release, path, identified)| CacheKey {
            identified,
            ..super::key(tenant, release, path)
        });
        let step = prop_oneof![
            6 => (0_usize..4_000).prop_map(Step::Keep),
            1 => Just(Step::Pass),
            6 => Just(Step::Find),
            1 => Just(Step::Purge),
        ];
        (key, select(vec!["de", "en", "fr"]), step)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_given_was_kept_for_just_that_and_the_bounds_hold(steps in prop::collection::vec(step(), 1..60)) {
            let cache = ResponseCache::within(HOST_BYTES, TENANT_BYTES);
            for (key, language, step) in steps {
                let tag = format!("{key:?} {language} ");
                let request = request(language);
                match step {
                    Step::Purge => cache.purge(&key.service),
                    Step::Keep(_) | Step::Pass | Step::Find => {
                        // Nobody else is at it, so nothing is waited for.
                        let found = cache.find(&key, &request).now_or_never().expect("at once");
                        match (found, step) {
                            (LookupResult::Hit(kept, _), _) => {
                                prop_assert!(kept.body.starts_with(tag.as_bytes()), "{:?} for {}", kept.body, tag);
                            }
                            (LookupResult::Miss(Some(mut fill)), Step::Keep(bytes)) => {
                                let kept = head(&request);
                                fill.begin(request, kept, 4_000);
                                fill.push(&Bytes::from(tag.into_bytes()));
                                fill.push(&Bytes::from(vec![b'a'; bytes]));
                                fill.finish();
                            }
                            (LookupResult::Miss(Some(mut fill)), Step::Pass) => fill.pass(),
                            (LookupResult::Miss(_), _) => {}
                        }
                    }
                }
                cache.entries.run_pending_tasks();
                let used = lock(&cache.used);
                prop_assert!(used.values().all(|bytes| *bytes <= TENANT_BYTES), "{used:?}");
                prop_assert!(cache.entries.weighted_size() <= HOST_BYTES);
            }
            prop_assert!(lock(&cache.filling).is_empty(), "nobody is at it any more");
        }
    }
}
