//! The router against a model that looks at every route, one after the other, by what docs/reference/gateway.md says.

use super::*;
use crate::config::GatewayConfig;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

const HOSTS: &[&str] = &["a.test", "b.a.test", "*.a.test", "*.test", "*"];
const ASKED_HOSTS: &[&str] = &["a.test", "b.a.test", "c.a.test", "d.c.a.test", "x.test", "elsewhere"];
const SEGMENTS: &[&str] = &["a", "b", "{x}"];
const ENDS: &[&str] = &["a", "b", "", "{y}", "p-{y}", "{y}.s", "{*rest}"];
const ASKED_SEGMENTS: &[&str] = &["a", "b", "c", "p-1", "p-", "1.s", "p-1.s"];
const METHODS: &[&[&str]] = &[&[], &["GET"], &["POST"], &["GET", "POST"], &["HEAD"], &["PUT", "GET"]];
const ASKED_METHODS: &[&str] = &["GET", "HEAD", "POST", "DELETE"];
const VERSIONS: &[Option<&str>] = &[None, Some("1"), Some("2")];

#[derive(Debug, Clone)]
struct RouteSpec {
    host: &'static str,
    path: String,
    methods: &'static [&'static str],
    version: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct TestRequest {
    host: &'static str,
    path: String,
    method: &'static str,
    version: Option<&'static str>,
}

fn path(segments: Vec<&str>, end: &str) -> String {
    format!("/{}", [segments, vec![end]].concat().join("/"))
}

fn wanted() -> impl Strategy<Value = RouteSpec> {
    let segments = prop::collection::vec(select(SEGMENTS), 0..=2);
    // A pattern has a name once.
    let segments = segments.prop_map(|all| {
        let mut names = ["{x}", "{w}"].into_iter();
        all.into_iter().map(|one| if one == "{x}" { names.next().unwrap_or(one) } else { one }).collect::<Vec<_>>()
    });
    (select(HOSTS), segments, select(ENDS), select(METHODS), select(VERSIONS)).prop_map(
        |(host, segments, end, methods, version)| RouteSpec { host, path: path(segments, end), methods, version },
    )
}

fn request() -> impl Strategy<Value = TestRequest> {
    let segments = prop::collection::vec(select(ASKED_SEGMENTS), 0..=3);
    let end = select(vec!["a", "b", "c", "p-1", "1.s", "p-1.s", ""]);
    (select(ASKED_HOSTS), segments, end, select(ASKED_METHODS), select(VERSIONS)).prop_map(
        |(host, segments, end, method, version)| TestRequest { host, path: path(segments, end), method, version },
    )
}

/// How specific a host is that a rule allows: the lower, the more. None if it does not allow it.
fn host_rank(rule: &str, host: &str) -> Option<usize> {
    match rule.strip_prefix('*') {
        None => (rule == host).then_some(0),
        Some("") => Some(usize::MAX),
        Some(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then(|| 1_000 - suffix.len()),
    }
}

/// The kind of a pattern at each segment of a path that it matches: 0 plain, 1 and 2 a parameter with something plain
/// before it, or behind it only, 3 a parameter, 4 the rest.
fn path_ranks(pattern: &str, path: &str) -> Option<Vec<usize>> {
    let (mut pattern, mut path) = (pattern[1..].split('/'), path[1..].split('/'));
    let mut ranks = Vec::new();
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(ranks),
            (Some("{*rest}"), Some(first)) => {
                ranks.push(4);
                return (!first.is_empty() || path.next().is_some()).then_some(ranks);
            }
            (Some(wanted), Some(segment)) => {
                let (before, rest) = wanted.split_once('{').unwrap_or((wanted, ""));
                let rank = match rest.split_once('}') {
                    None if wanted == segment => 0,
                    None => return None,
                    Some((_, after)) => {
                        let inside = segment.strip_prefix(before)?.strip_suffix(after)?;
                        if inside.is_empty() {
                            return None;
                        }
                        match (before, after) {
                            ("", "") => 3,
                            ("", _) => 2,
                            _ => 1,
                        }
                    }
                };
                ranks.push(rank);
            }
            _ => return None,
        }
    }
}

/// The number of the route that a request takes, else the code of its refusal.
fn model(routes: &[RouteSpec], request: &TestRequest) -> Result<usize, Code> {
    let best_host = routes.iter().filter_map(|route| host_rank(route.host, request.host)).min();
    let of_host =
        |route: &&(usize, &RouteSpec)| best_host.is_some() && host_rank(route.1.host, request.host) == best_host;
    let numbered: Vec<_> = routes.iter().enumerate().collect();
    let here: Vec<_> = numbered.iter().filter(of_host).collect();
    let matching = here.iter().filter_map(|(_, route)| Some((path_ranks(&route.path, &request.path)?, &route.path)));
    let (_, pattern) = matching.min().ok_or(Code::NoRoute)?;
    let named = |route: &RouteSpec| match request.method {
        _ if route.methods.is_empty() => Some(0),
        method if route.methods.contains(&method) => Some(2),
        "HEAD" if route.methods.contains(&"GET") => Some(1),
        _ => None,
    };
    let allowed = here.iter().filter(|(_, route)| route.path == *pattern);
    let allowed: Vec<_> = allowed.filter_map(|(number, route)| Some((named(route)?, *number, route))).collect();
    if allowed.is_empty() {
        return Err(Code::MethodNotAllowed);
    }
    let fits = allowed.iter().filter(|(.., route)| route.version.is_none() || route.version == request.version);
    let best = fits.max_by_key(|(named, _, route)| (route.version.is_some(), *named));
    best.map(|(_, number, _)| *number).ok_or(Code::UnknownApiVersion)
}

/// Whether both would answer the same requests.
fn clash(one: &RouteSpec, other: &RouteSpec) -> bool {
    let same = one.host == other.host && one.path == other.path && one.version == other.version;
    same && match (one.methods, other.methods) {
        ([], []) => true,
        (one, other) => one.iter().any(|method| other.contains(method)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_takes_the_route_that_the_documentation_says(
        wanted in prop::collection::vec(wanted(), 1..16),
        requests in prop::collection::vec(request(), 1..24),
    ) {
        let mut router = Router::default();
        let mut routes: Vec<RouteSpec> = Vec::new();
        for want in wanted {
            let mut table = json!({ "path": want.path });
            if !want.methods.is_empty() {
                table["methods"] = json!(want.methods);
            }
            if let Some(version) = want.version {
                table["version"] = json!({ "header": "api-version", "value": version });
            }
            let config = GatewayConfig::parse(&json!({ "routes": [table] })).expect("a table");
            let host = if want.host == "*" { HostRule::Any } else { HostRule::parse(want.host).expect("a host") };
            let mut trial = router.clone();
            let added = trial.add(&Arc::from("s"), &[host], &config.routes[0], &routes.len());
            let clashes = routes.iter().any(|other| clash(&want, other));
            match added {
                Ok(()) => {
                    prop_assert!(!clashes, "{want:?} clashes");
                    router = trial;
                    routes.push(want);
                }
                // Patterns that differ in their parameters' names alone conflict, too.
                Err(error) => prop_assert!(clashes || matches!(error, RouteError::Conflict { .. }), "{error}"),
            }
        }
        for request in requests {
            let mut headers = HeaderMap::new();
            if let Some(version) = request.version {
                headers.insert("api-version", http::HeaderValue::from_static(version));
            }
            let found = router.find(request.host, &request.path, &request.method.parse().expect("a method"), &headers);
            let found = found.map(|found| *found.value).map_err(|refusal| refusal.code());
            prop_assert_eq!(found, model(&routes, &request), "{:?} among {:#?}", request, routes);
        }
    }
}
