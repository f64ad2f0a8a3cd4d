//! Cross-origin requests, as the Fetch standard has them (section 3.2, CORS protocol).

use crate::field::{add_vary, elements, single};
use crate::methods::Methods;
use crate::problem::{Code, Refusal};
use crate::rule::{ConfigError, MAX_HEADERS, Rule, header_names, within};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use serde::Deserialize;

/// The most origins of a list.
pub const MAX_ORIGINS: usize = 64;

/// The CORS rule of a route: origins, methods and headers that pages of other origins may use.
#[derive(Debug, Clone)]
pub struct Cors {
    /// None for all.
    origins: Option<Vec<HeaderValue>>,
    /// None for those of the route.
    methods: Option<Methods>,
    headers: AllowedHeaders,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

#[derive(Debug, Clone)]
enum AllowedHeaders {
    Any,
    Only(Vec<HeaderName>),
}

/// The table `cors`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CorsTable {
    origins: Vec<String>,
    methods: Option<Vec<String>>,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    expose: Vec<String>,
    #[serde(default)]
    credentials: bool,
    max_age: Option<u32>,
}

impl Rule for Cors {
    type Table = CorsTable;

    fn check(table: CorsTable, at: &str) -> Result<Self, ConfigError> {
        let wrong = |message: &str| ConfigError::new(at, message);
        let all = |list: &[String]| list.len() == 1 && list.iter().any(|name| name == "*");
        if table.credentials && [&table.origins, &table.headers, &table.expose].iter().any(|list| all(list)) {
            return Err(wrong("with `credentials`, \"*\" means nothing to a browser: list the origins and headers"));
        }
        if table.origins.is_empty() || table.origins.len() > MAX_ORIGINS {
            return Err(wrong("`origins` is empty or has more than 64: list them, or write [\"*\"]"));
        }
        let origins = match all(&table.origins) {
            true => None,
            false => Some(table.origins.iter().map(|text| origin(text, at)).collect::<Result<_, _>>()?),
        };
        let methods = match &table.methods {
            Some(names) => Some(Methods::parse(names).map_err(|message| wrong(&message))?),
            None => None,
        };
        let headers = match all(&table.headers) {
            true => AllowedHeaders::Any,
            false => AllowedHeaders::Only(header_names(&table.headers, at)?),
        };
        let expose = match table.expose.is_empty() {
            true => None,
            false if all(&table.expose) => Some(HeaderValue::from_static("*")),
            false => Some(list(&header_names(&table.expose, at)?)),
        };
        let max_age = within(table.max_age.unwrap_or(600), [0, 86_400], at, "max-age")?;
        Ok(Self { origins, methods, headers, expose, credentials: table.credentials, max_age: max_age.into() })
    }
}

/// An origin as browsers write it: scheme, host, and the port if it is not the scheme's.
fn origin(text: &str, at: &str) -> Result<HeaderValue, ConfigError> {
    let wrong = || {
        let text = crate::problem::bounded(text);
        let message =
            format!("\"{text}\" is not an origin: write one like \"https://shop.example.com\", in lower case");
        ConfigError::new(at, message)
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let (scheme, authority) = (uri.scheme_str().ok_or_else(wrong)?, uri.authority().ok_or_else(wrong)?);
    let default_port = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let is_origin = text == format!("{scheme}://{authority}")
        && text.len() <= 300
        && crate::host::normalize(authority.as_str()).is_ok_and(|host| host == authority.host())
        && (authority.port_u16().is_none() || authority.port_u16() != default_port);
    if is_origin { HeaderValue::from_str(text).map_err(|_| wrong()) } else { Err(wrong()) }
}

fn list(names: &[HeaderName]) -> HeaderValue {
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    HeaderValue::try_from(names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl Cors {
    /// The response to a preflight for a route with these methods; nothing if the request is no preflight.
    ///
    /// The response has no body. Where the request asks for what is not allowed, it is [`Code::CorsRefused`].
    pub fn preflight(&self, request: &Parts, route: &Methods) -> Option<Result<Response<()>, Refusal>> {
        if request.method != Method::OPTIONS || !request.headers.contains_key(ORIGIN) {
            return None;
        }
        let asked = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let mut headers = HeaderMap::new();
        let verdict = self.grant(&request.headers, asked, route, &mut headers);
        add_vary(&mut headers, &ORIGIN);
        add_vary(&mut headers, &ACCESS_CONTROL_REQUEST_METHOD);
        add_vary(&mut headers, &ACCESS_CONTROL_REQUEST_HEADERS);
        Some(match verdict {
            Ok(()) => {
                let mut response = Response::new(());
                *response.status_mut() = StatusCode::NO_CONTENT;
                *response.headers_mut() = headers;
                Ok(response)
            }
            Err(detail) => {
                let mut refusal = Refusal::new(Code::CorsRefused).with_detail(detail);
                *refusal.headers_mut() = headers;
                Err(refusal)
            }
        })
    }

    fn grant(
        &self,
        request: &HeaderMap,
        asked: &HeaderValue,
        route: &Methods,
        response: &mut HeaderMap,
    ) -> Result<(), &'static str> {
        let origin = self.origin(request).ok_or("The origin is not allowed.")?;
        let method = Method::from_bytes(asked.as_bytes()).map_err(|_| "The method is malformed.")?;
        let safe = [Method::GET, Method::HEAD, Method::POST].contains(&method);
        let listed = self.methods.as_ref().unwrap_or(route).allow(&method);
        if !route.allow(&method) || !(safe || listed) {
            return Err("The method is not allowed.");
        }
        let headers: Vec<HeaderName> = elements(request, &ACCESS_CONTROL_REQUEST_HEADERS)
            .take(MAX_HEADERS + 1)
            .map(|name| HeaderName::from_bytes(name.as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(|_| "A header's name is malformed.")?;
        let allowed = match &self.headers {
            AllowedHeaders::Any => headers.len() <= MAX_HEADERS,
            AllowedHeaders::Only(names) => headers.iter().all(|name| names.contains(name)),
        };
        if !allowed {
            return Err("A header is not allowed.");
        }
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
        if !headers.is_empty() {
            // Named one by one, for "*" does not cover `Authorization`.
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, list(&headers));
        }
        if self.credentials {
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        response.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        Ok(())
    }

    /// The value of `Access-Control-Allow-Origin` for a request; none if the request's origin is not allowed.
    #[must_use]
    pub fn origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        match &self.origins {
            None => Some(HeaderValue::from_static("*")),
            Some(origins) => {
                let origin = single(request, &ORIGIN)?;
                origins.contains(origin).then(|| origin.clone())
            }
        }
    }

    /// Puts the headers of a response that is no preflight's, in the place of any that it has. `origin` is what
    /// [`Cors::origin`] said.
    pub fn apply(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
        if self.origins.is_some() {
            // Also without an origin: a cache must not give that response to those who have one.
            add_vary(headers, &ORIGIN);
        }
        let Some(origin) = origin else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(expose) = &self.expose {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse_rule;
    use http::Request;
    use http::header::VARY;
    use serde_json::{Value, json};

    fn cors(table: Value) -> Cors {
        parse_rule(&table, "cors").expect("a table")
    }

    fn preflight(cors: &Cors, origin: &str, method: &str, headers: &str) -> Result<HeaderMap, String> {
        let mut request = Request::options("/").header(ORIGIN, origin).header(ACCESS_CONTROL_REQUEST_METHOD, method);
        if !headers.is_empty() {
            request = request.header(ACCESS_CONTROL_REQUEST_HEADERS, headers);
        }
        let route = Methods::parse(&["GET".into(), "PUT".into(), "DELETE".into()]).expect("methods");
        let parts = request.body(()).expect("a request").into_parts().0;
        match cors.preflight(&parts, &route).expect("a preflight") {
            Ok(response) => {
                assert_eq!(response.status(), StatusCode::NO_CONTENT);
                Ok(response.into_parts().0.headers)
            }
            Err(refusal) => {
                assert!(!refusal.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
                assert!(refusal.headers().contains_key(VARY));
                Err(refusal.detail().unwrap_or_default().to_owned())
            }
        }
    }

    #[test]
    fn a_preflight_is_allowed_what_the_table_lists() {
        let cors = cors(json!({
            "origins": ["https://a.test", "http://localhost:5173"], "methods": ["PUT"], "headers": ["X-Team"],
            "credentials": true, "max-age": 60,
        }));
        let headers = preflight(&cors, "https://a.test", "PUT", "x-team").expect("allowed");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.test");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "PUT");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], "x-team");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "60");
        assert!(headers.get_all(VARY).iter().any(|name| name == "origin"));
        assert!(preflight(&cors, "http://localhost:5173", "GET", "").is_ok());
        for (origin, method, names) in [
            ("https://b.test", "PUT", ""),
            ("https://a.test:444", "PUT", ""),
            ("https://a.test.evil.test", "PUT", ""),
            ("null", "PUT", ""),
            ("https://a.test", "DELETE", ""),
            ("https://a.test", "POST", ""), // none of the route's
            ("https://a.test", "PUT", "x-team, authorization"),
            ("https://a.test", "PUT", "x team"),
        ] {
            assert!(preflight(&cors, origin, method, names).is_err(), "{origin} {method} {names}");
        }
    }

    #[test]
    fn any_origin_is_a_star_and_is_never_reflected() {
        let cors = cors(json!({ "origins": ["*"], "headers": ["*"], "expose": ["X-A", "x-b"] }));
        let headers = preflight(&cors, "https://a.test", "DELETE", "authorization, x-y").expect("allowed");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], "authorization, x-y");
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        let many = vec!["x"; MAX_HEADERS + 1].join(",");
        assert!(preflight(&cors, "https://a.test", "GET", &many).is_err());

        let mut response = HeaderMap::new();
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://of-the-component.test"));
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        cors.apply(cors.origin(&HeaderMap::new()).as_ref(), &mut response);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(response[ACCESS_CONTROL_EXPOSE_HEADERS], "x-a, x-b");
        assert_eq!(response.len(), 2, "{response:?}");
    }

    #[test]
    fn the_response_depends_on_the_origin_also_where_there_is_none() {
        let cors = cors(json!({ "origins": ["https://a.test"] }));
        let mut response = HeaderMap::new();
        cors.apply(cors.origin(&HeaderMap::new()).as_ref(), &mut response);
        assert_eq!(response[VARY], "origin");
        assert_eq!(response.len(), 1);
        let twice = ["https://a.test", "https://a.test"].map(|origin| (ORIGIN, HeaderValue::from_static(origin)));
        let mut request = HeaderMap::new();
        twice.into_iter().for_each(|(name, value)| {
            request.append(name, value);
        });
        assert_eq!(cors.origin(&request), None);
    }

    #[test]
    fn what_is_no_preflight_goes_on() {
        let cors = cors(json!({ "origins": ["*"] }));
        for request in [
            Request::get("/").header(ORIGIN, "https://a.test").header(ACCESS_CONTROL_REQUEST_METHOD, "GET"),
            Request::options("/").header(ORIGIN, "https://a.test"),
            Request::options("/").header(ACCESS_CONTROL_REQUEST_METHOD, "GET"),
        ] {
            let parts = request.body(()).expect("a request").into_parts().0;
            assert!(cors.preflight(&parts, &Methods::ALL).is_none());
        }
    }

    #[test]
    fn tables_are_checked() {
        let many: Vec<String> = (0..=MAX_ORIGINS).map(|i| format!("https://s{i}.test")).collect();
        for (wrong, part) in [
            (json!({ "origins": ["*"], "credentials": true }), "credentials"),
            (json!({ "origins": ["https://a.test"], "headers": ["*"], "credentials": true }), "credentials"),
            (json!({ "origins": [] }), "origins"),
            (json!({ "origins": many }), "origins"),
            (json!({ "origins": ["*", "https://a.test"] }), "\"*\""),
            (json!({ "origins": ["null"] }), "null"),
            (json!({ "origins": ["https://a.test/"] }), "https://a.test/"),
            (json!({ "origins": ["https://A.test"] }), "https://A.test"),
            (json!({ "origins": ["https://a.test:443"] }), "https://a.test:443"),
            (json!({ "origins": ["https://*.test"] }), "https://*.test"),
            (json!({ "origins": ["a.test"] }), "a.test"),
            (json!({ "origins": ["*"], "max-age": 100_000 }), "max-age"),
            (json!({ "origins": ["*"], "headers": ["a b"] }), "a b"),
            (json!({ "origins": ["*"], "headers": vec!["x"; MAX_HEADERS + 1] }), "64"),
            (json!({ "origins": ["*"], "methods": ["get"] }), "get"),
            (json!({ "origins": ["*"], "allow": [] }), "allow"),
        ] {
            let message = parse_rule::<Cors>(&wrong, "cors").expect_err(part).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
