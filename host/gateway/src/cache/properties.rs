//! Which cached responses are given to whom, against the rules of RFC 9111 in their simplest form.

use super::*;
use crate::rule::parse_rule;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

#[derive(Debug, Clone)]
struct ClientRequest {
    uri: &'static str,
    language: Option<&'static str>,
    team: Option<&'static str>,
    authorized: bool,
    identified: bool,
}

#[derive(Debug, Clone)]
struct OriginResponse {
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    swr: Option<u64>,
    directives: Vec<&'static str>,
    vary: &'static str,
    cookie: bool,
}

fn client_request() -> impl Strategy<Value = ClientRequest> {
    let uri =
        select(vec!["http://a.test/", "http://A.test./", "http://a.test/x", "http://b.test/", "http://a.test:81/"]);
    let language = option::of(select(vec!["de", "en"]));
    let team = option::of(select(vec!["red", "blue"]));
    (uri, language, team, any::<bool>(), any::<bool>()).prop_map(|(uri, language, team, authorized, identified)| {
        ClientRequest { uri, language, team, authorized, identified }
    })
}

fn origin_response() -> impl Strategy<Value = OriginResponse> {
    let directive = select(vec!["public", "private", "no-store", "no-cache", "must-revalidate"]);
    let directives = prop::collection::vec(directive, 0..2);
    let vary = select(vec!["", "accept-language", "x-team", "Accept-Language, X-Team", "*"]);
    let seconds = || option::of(0_u64..200);
    (seconds(), seconds(), seconds(), directives, vary, prop::bool::weighted(0.1)).prop_map(
        |(max_age, s_maxage, swr, directives, vary, cookie)| OriginResponse {
            max_age,
            s_maxage,
            swr,
            directives,
            vary,
            cookie,
        },
    )
}

fn request(asked: &ClientRequest) -> request::Parts {
    let mut request = http::Request::get(asked.uri);
    for (name, value) in [("accept-language", asked.language), ("x-team", asked.team)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    if asked.authorized {
        request = request.header("authorization", "Bearer x");
    }
    request.body(()).expect("a request").into_parts().0
}

fn answer(answered: &OriginResponse) -> response::Parts {
    let mut control: Vec<_> = answered.directives.iter().map(ToString::to_string).collect();
    let named = [("max-age", answered.max_age), ("s-maxage", answered.s_maxage)];
    let named = named.into_iter().chain([("stale-while-revalidate", answered.swr)]);
    control.extend(named.filter_map(|(name, seconds)| Some(format!("{name}={}", seconds?))));
    let mut answer = http::Response::builder().header("cache-control", control.join(", "));
    if !answered.vary.is_empty() {
        answer = answer.header("vary", answered.vary);
    }
    if answered.cookie {
        answer = answer.header("set-cookie", "a=b");
    }
    answer.body(()).expect("an answer").into_parts().0
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_what_is_another_requests_or_too_old(
        first in client_request(),
        answered in origin_response(),
        later in prop::collection::vec((client_request(), 0_u64..500), 1..16),
    ) {
        let rules: CacheRules = parse_rule(&json!({}), "cache").expect("a table");
        let now = SystemTime::now();
        let kept = rules.store(&request(&first), answer(&answered), &[], first.identified, now);
        let Some(kept) = kept else { return Ok(()) };
        let says = |directive| answered.directives.contains(&directive);
        prop_assert!(!answered.cookie && answered.vary != "*");
        prop_assert!(!says("private") && !says("no-store") && !says("no-cache"));
        let of_somebody = first.identified || first.authorized;
        prop_assert!(!of_somebody || says("public") || says("must-revalidate") || answered.s_maxage.is_some());
        let fresh = answered.s_maxage.or(answered.max_age).unwrap_or(0);
        let stale = if says("must-revalidate") { 0 } else { answered.swr.unwrap_or(0) };
        let vary = answered.vary.to_ascii_lowercase();
        for (asked, seconds) in later {
            let fit = kept.freshness(&request(&asked), now + Duration::from_secs(seconds));
            let same = key_uri(&first.uri.parse().expect("a URI")) == key_uri(&asked.uri.parse().expect("a URI"))
                && (!vary.contains("accept-language") || first.language == asked.language)
                && (!vary.contains("x-team") || first.team == asked.team);
            let expected = match seconds {
                _ if !same => Freshness::Unusable,
                seconds if seconds < fresh => Freshness::Fresh,
                seconds if seconds < fresh + stale => Freshness::Stale,
                _ => Freshness::Unusable,
            };
            prop_assert_eq!(fit, expected, "{:?} after {} s, kept of {:?} {:?}", asked, seconds, first, answered);
        }
    }
}
