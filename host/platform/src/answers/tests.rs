use super::*;
use elias_gateway::GatewayConfig;
use futures::FutureExt;
use serde_json::json;

fn key(tenant: &str, release: u64, path: &str) -> AnswerKey {
    let service = ServiceId {
        tenant: tenant.parse().expect("a name"),
        component: "shop".parse().expect("a name"),
        environment: crate::name::Environment::Production,
    };
    AnswerKey { service, release, uri: format!("shop.test{path}"), identified: false }
}

fn request(language: &str) -> Parts {
    let request = http::Request::get("http://shop.test/").header("accept-language", language);
    request.body(()).expect("a request").into_parts().0
}

fn head(request: &Parts) -> StoredHeaders {
    let config = GatewayConfig::parse(&json!({ "cache": {} })).expect("a table");
    let rules = config.routes[0].rules.cache.clone().expect("the rule");
    let answer = http::Response::builder().header("cache-control", "max-age=60").header("vary", "accept-language");
    let (answer, ()) = answer.body(()).expect("an answer").into_parts();
    rules.keep(request, answer, &[], false, SystemTime::now()).expect("it may be kept")
}

async fn keep(answers: &Arc<Answers>, key: &AnswerKey, language: &str, bytes: usize) {
    let request = request(language);
    let Found::None(Some(mut fill)) = answers.find(key, &request).await else { panic!("nothing was kept") };
    let kept = head(&request);
    fill.begin(request, kept, 1 << 20);
    fill.push(&Bytes::from(vec![b'a'; bytes]));
    fill.finish();
}

async fn is_kept(answers: &Arc<Answers>, key: &AnswerKey, language: &str) -> bool {
    matches!(answers.find(key, &request(language)).await, Found::Answer(..))
}

#[tokio::test]
async fn answers_are_of_a_release_and_of_what_they_vary_by() {
    let answers = Answers::new();
    keep(&answers, &key("acme", 1, "/"), "de", 10).await;
    keep(&answers, &key("acme", 1, "/"), "en", 10).await;
    for (key, language, kept) in [
        (key("acme", 1, "/"), "de", true),
        (key("acme", 1, "/"), "en", true),
        (key("acme", 1, "/"), "fr", false),
        (key("acme", 2, "/"), "de", false),
        (key("other", 1, "/"), "de", false),
        (key("acme", 1, "/x"), "de", false),
    ] {
        assert_eq!(is_kept(&answers, &key, language).await, kept, "{key:?} {language}");
    }
    for language in 0..20 {
        keep(&answers, &key("acme", 1, "/"), &language.to_string(), 10).await;
    }
    let Some(Entry::Answers(all)) = answers.entries.get(&key("acme", 1, "/")) else { panic!("they are kept") };
    assert_eq!(all.len(), VARIANTS_MAX);
    answers.purge(&key("acme", 1, "/").service);
    assert!(!is_kept(&answers, &key("acme", 1, "/"), "19").await);
    let is_empty = |_| {
        answers.entries.run_pending_tasks();
        lock(&answers.used).is_empty()
    };
    assert!((0..1_000).any(is_empty), "all is given back");
}

#[tokio::test]
async fn a_tenant_has_its_share_and_the_host_its_bounds() {
    let answers = Answers::within(200_000, 60_000);
    for i in 0..100 {
        keep(&answers, &key("greedy", 1, &format!("/{i}")), "de", 10_000).await;
    }
    keep(&answers, &key("modest", 1, "/"), "de", 10_000).await;
    assert!(is_kept(&answers, &key("modest", 1, "/"), "de").await);
    assert!(lock(&answers.used).values().all(|bytes| *bytes <= 60_000), "{:?}", answers.used);
    for tenant in 0..20 {
        for i in 0..5 {
            keep(&answers, &key(&format!("t{tenant}"), 1, &format!("/{i}")), "de", 10_000).await;
        }
    }
    answers.entries.run_pending_tasks();
    assert!(answers.entries.weighted_size() <= 200_000, "{}", answers.entries.weighted_size());
    let used: u64 = lock(&answers.used).values().sum();
    assert_eq!(used, answers.entries.weighted_size(), "what is counted is what there is");
}

#[tokio::test]
async fn one_fetches_and_the_others_wait_for_it() {
    let answers = Answers::new();
    let (key, asked) = (key("acme", 1, "/"), request("de"));
    let Found::None(Some(mut fill)) = answers.find(&key, &asked).await else { panic!("nothing was kept") };
    let mut second = Box::pin(answers.find(&key, &asked));
    assert!(second.as_mut().now_or_never().is_none(), "it waits");
    fill.begin(request("de"), head(&asked), 100);
    fill.push(&Bytes::from_static(b"once"));
    fill.finish();
    assert!(matches!(second.await, Found::Answer(kept, None) if kept.body == "once"));

    let other = AnswerKey { uri: "shop.test/other".into(), ..key };
    let Found::None(Some(fill)) = answers.find(&other, &asked).await else { panic!("nothing was kept") };
    let mut second = Box::pin(answers.find(&other, &asked));
    assert!(second.as_mut().now_or_never().is_none());
    drop(fill);
    let Found::None(Some(mut fill)) = second.await else { panic!("the next one's turn") };
    fill.begin(request("de"), head(&asked), 3);
    fill.push(&Bytes::from_static(b"long"));
    drop(fill);
    assert!(matches!(answers.find(&other, &asked).await, Found::None(None)), "too long: nobody waits for that");
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

    fn step() -> impl Strategy<Value = (AnswerKey, &'static str, Step)> {
        let key = (select(vec!["a", "b", "c", "d", "e"]), 1_u64..3, select(vec!["/", "/x"]), any::<bool>());
        let key = key.prop_map(|(tenant, release, path, identified)| AnswerKey {
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
            let answers = Answers::within(HOST_BYTES, TENANT_BYTES);
            for (key, language, step) in steps {
                let tag = format!("{key:?} {language} ");
                let request = request(language);
                match step {
                    Step::Purge => answers.purge(&key.service),
                    Step::Keep(_) | Step::Pass | Step::Find => {
                        // Nobody else is at it, so nothing is waited for.
                        let found = answers.find(&key, &request).now_or_never().expect("at once");
                        match (found, step) {
                            (Found::Answer(kept, _), _) => {
                                prop_assert!(kept.body.starts_with(tag.as_bytes()), "{:?} for {}", kept.body, tag);
                            }
                            (Found::None(Some(mut fill)), Step::Keep(bytes)) => {
                                let kept = head(&request);
                                fill.begin(request, kept, 4_000);
                                fill.push(&Bytes::from(tag.into_bytes()));
                                fill.push(&Bytes::from(vec![b'a'; bytes]));
                                fill.finish();
                            }
                            (Found::None(Some(mut fill)), Step::Pass) => fill.pass(),
                            (Found::None(_), _) => {}
                        }
                    }
                }
                answers.entries.run_pending_tasks();
                let used = lock(&answers.used);
                prop_assert!(used.values().all(|bytes| *bytes <= TENANT_BYTES), "{used:?}");
                prop_assert!(answers.entries.weighted_size() <= HOST_BYTES);
            }
            prop_assert!(lock(&answers.filling).is_empty(), "nobody is at it any more");
        }
    }
}
