//! Tests of which responses may be stored and sent again (RFC 9111).

use super::*;
use crate::rule::parse_rule;
use http::{Request, Response};
use serde_json::json;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn request(method: &str, pairs: Pairs<'_>) -> request::Parts {
    let mut builder = Request::builder().method(method).uri("http://shop.test/a?b=c");
    for (name, value) in pairs {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a request").into_parts().0
}

fn answer(pairs: Pairs<'_>) -> response::Parts {
    let mut builder = Response::builder();
    for (name, value) in pairs {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("an answer").into_parts().0
}

fn rules() -> CacheRules {
    parse_rule(&json!({ "max-bytes": 1000 }), "cache").expect("a table")
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn keep(asked: Pairs<'_>, said: Pairs<'_>) -> Option<StoredHeaders> {
    rules().store(&request("GET", asked), answer(said), &[], false, at(0))
}

const MINUTE: (&str, &str) = ("cache-control", "max-age=60");

#[test]
fn only_what_says_how_long_it_holds_for_everybody_is_kept() {
    let cases: &[(Pairs<'_>, Pairs<'_>, bool)] = &[
        (&[], &[MINUTE], true),
        (&[], &[("cache-control", "s-maxage=60")], true),
        (&[], &[("cache-control", "public, max-age=60, must-revalidate")], true),
        (&[], &[], false),
        (&[], &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], false),
        (&[], &[("cache-control", "public")], false),
        (&[], &[("cache-control", "max-age=0")], false),
        (&[], &[("cache-control", "private, max-age=60")], false),
        (&[], &[("cache-control", "no-store, max-age=60")], false),
        (&[], &[("cache-control", "no-cache, max-age=60")], false),
        (&[], &[MINUTE, ("set-cookie", "a=b")], false),
        (&[], &[("cache-control", "public, max-age=60"), ("set-cookie", "a=b")], false),
        (&[], &[MINUTE, ("vary", "*")], false),
        (&[], &[MINUTE, ("vary", "accept-language")], true),
        (&[], &[MINUTE, ("content-length", "1000")], true),
        (&[], &[MINUTE, ("content-length", "1001")], false),
        (&[("authorization", "Bearer x")], &[MINUTE], false),
        (&[("authorization", "Bearer x")], &[("cache-control", "public, max-age=60")], true),
        (&[("cache-control", "no-store")], &[MINUTE], false),
        (&[("if-none-match", "\"x\"")], &[MINUTE], false),
    ];
    for (asked, said, kept) in cases {
        assert_eq!(keep(asked, said).is_some(), *kept, "{asked:?} {said:?}");
    }
    let identified = rules().store(&request("GET", &[]), answer(&[MINUTE]), &[], true, at(0));
    assert!(identified.is_none(), "the component knew who asked");
    assert!(rules().store(&request("HEAD", &[]), answer(&[MINUTE]), &[], false, at(0)).is_none());
    let cases: &[(&str, Pairs<'_>, bool)] = &[
        ("GET", &[], true),
        ("HEAD", &[], true),
        ("GET", &[("if-none-match", "\"x\"")], true),
        ("POST", &[], false),
        ("GET", &[("range", "bytes=0-1")], false),
        ("GET", &[("if-match", "\"x\"")], false),
    ];
    for (method, pairs, takes) in cases {
        assert_eq!(rules().can_serve(&request(method, pairs)), *takes, "{method} {pairs:?}");
    }
}

#[test]
fn a_kept_answer_is_fresh_then_stale_then_none() {
    let kept = keep(&[], &[("cache-control", "max-age=60, stale-while-revalidate=30")]).expect("kept");
    let fits = |pairs: Pairs<'_>, seconds| kept.freshness(&request("GET", pairs), at(seconds));
    for (seconds, fit) in [
        (0, Freshness::Fresh),
        (59, Freshness::Fresh),
        (61, Freshness::Stale),
        (89, Freshness::Stale),
        (91, Freshness::Unusable),
    ] {
        assert_eq!(fits(&[], seconds), fit, "{seconds}");
    }
    assert_eq!(kept.freshness(&request("HEAD", &[]), at(1)), Freshness::Fresh);
    assert_eq!(fits(&[("cache-control", "no-cache")], 1), Freshness::Unusable);
    assert_eq!(fits(&[("cache-control", "max-age=10")], 20), Freshness::Unusable);
    assert_eq!(fits(&[("cache-control", "no-cache")], 61), Freshness::Unusable);
    assert_eq!(kept.lifetime(), Duration::from_secs(90));
    let strict = "max-age=60, stale-while-revalidate=30, must-revalidate";
    let strict = keep(&[], &[("cache-control", strict)]).expect("kept");
    assert_eq!(strict.freshness(&request("GET", &[]), at(61)), Freshness::Unusable);
    let old = keep(&[], &[MINUTE, ("age", "50")]).expect("kept");
    assert_eq!(
        (old.freshness(&request("GET", &[]), at(5)), old.freshness(&request("GET", &[]), at(11))),
        (Freshness::Fresh, Freshness::Unusable)
    );
}

#[test]
fn the_headers_that_it_varies_by_decide() {
    let kept = keep(&[("accept-language", "de")], &[MINUTE, ("vary", "Accept-Language")]).expect("kept");
    for (language, fit) in [("de", Freshness::Fresh), ("en", Freshness::Unusable)] {
        let request = request("GET", &[("accept-language", language)]);
        assert_eq!((kept.freshness(&request, at(1)), kept.is_of(&request, at(1))), (fit, fit == Freshness::Fresh));
    }
    assert_eq!(kept.freshness(&request("GET", &[]), at(1)), Freshness::Unusable);
    let asked = request("GET", &[("api-version", "1")]);
    let kept = rules().store(&asked, answer(&[MINUTE]), &[HeaderName::from_static("api-version")], false, at(0));
    let kept = kept.expect("kept");
    assert_eq!(kept.freshness(&asked, at(1)), Freshness::Fresh);
    assert_eq!(
        kept.freshness(&request("GET", &[("api-version", "2")]), at(1)),
        Freshness::Unusable,
        "its route was another"
    );
}

#[test]
fn answers_say_their_age_and_clients_that_have_them_get_304() {
    let said: Pairs<'_> = &[MINUTE, ("etag", "W/\"x\""), ("content-type", "text/plain"), ("content-length", "5")];
    let kept = keep(&[], said).expect("kept");
    let given = kept.response(&request("GET", &[]), at(20));
    assert_eq!((given.status, &given.headers["age"]), (StatusCode::OK, &HeaderValue::from_static("20")));
    assert_eq!(given.headers["cache-status"], "elias; hit; ttl=40");
    for (pairs, status) in [
        (&[("if-none-match", "\"y\", W/\"x\"")], 304),
        (&[("if-none-match", "\"x\"")], 304),
        (&[("if-none-match", "\"y\"")], 200),
    ] {
        let given = kept.response(&request("GET", pairs), at(1));
        assert_eq!(given.status.as_u16(), status, "{pairs:?}");
        assert_eq!(given.headers.contains_key("content-length"), status == 200);
        assert_eq!(given.headers["etag"], "W/\"x\"");
    }
    let dated = keep(&[], &[MINUTE, ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]).expect("kept");
    let since = request("GET", &[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    assert_eq!(dated.response(&since, at(1)).status, StatusCode::NOT_MODIFIED);
}

#[test]
fn one_host_has_one_key_and_each_port_its_own() {
    let key = |uri: &str| key_uri(&uri.parse().expect("a URI"));
    for same in
        ["http://Shop.Test/a?b=C", "http://shop.test./a?b=C", "http://shop.test:80/a?b=C", "http://SHOP.test.:80/a?b=C"]
    {
        assert_eq!(key(same), "shop.test/a?b=C", "{same}");
    }
    assert_eq!(key("http://[0:0::1]:80/"), "[::1]/");
    let other =
        ["http://shop.test:8080/a?b=C", "http://shop.test/A?b=C", "http://shop.test/a?b=c", "http://shops.test/a?b=C"];
    for other in other {
        assert_ne!(key(other), "shop.test/a?b=C", "{other}");
    }
}

#[test]
fn a_client_may_want_a_cached_response_or_none() {
    let rules: CacheRules = parse_rule(&json!({}), "cache").expect("a table");
    for (value, wanted) in [("only-if-cached", true), ("max-age=5, Only-If-Cached", true), ("no-cache", false)] {
        let request = request("GET", &[("cache-control", value)]);
        assert_eq!(rules.is_only_if_cached(&request), wanted, "{value}");
    }
}
