//! Routes to service workers: a request is a message to a worker, or a call of one of its methods, in the place of the
//! component's `fetch`, or a WebSocket that ends in a worker. The worker's name is made of parameters of the path,
//! headers and the caller's identity.

use crate::auth::Identity;
use crate::field::single;
use crate::methods::Methods;
use crate::path::{PathParams, decode};
use crate::problem::{Code, Refusal};
use crate::rule::{ConfigError, Rule, header_name};
use crate::validate::check_json_headers;
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The longest body of a message, in bytes: it is read whole before the worker gets it.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Characters that the name of a class, a worker or a method has at most, as JavaScript counts them.
const MAX_NAME_CHARACTERS: usize = 256;

/// The most parameters and texts that a name is made of.
const MAX_NAME_PARTS: usize = 16;

/// The worker that a route's requests are for.
#[derive(Debug, Clone)]
pub struct WorkerRules {
    class: Box<str>,
    name: Vec<NamePart>,
    method: Option<Box<str>>,
    sockets: bool,
    events: bool,
}

/// A part of a worker's name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NamePart {
    Text(Box<str>),
    /// A parameter of the path, decoded.
    Path(Box<str>),
    /// A header, which has to be there once.
    Header(HeaderName),
    /// The subject of the caller's credentials.
    Identity,
}

/// The table `worker`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WorkerTable {
    class: String,
    name: String,
    method: Option<String>,
    #[serde(default)]
    sockets: bool,
    #[serde(default)]
    events: bool,
}

/// In the extensions of a request that is the handshake of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketHandshake;

/// The worker in which a WebSocket ends, or from which a stream of events comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketTarget {
    /// The worker's class.
    pub class: String,
    /// The worker's name.
    pub name: String,
}

/// What responds to a request.
#[derive(Debug, Default, Clone, PartialEq)]
pub enum RequestTarget {
    /// The component, or a file in its place.
    #[default]
    Component,
    /// A service worker, in the component's place.
    Worker(WorkerRequest),
    /// A service worker, which takes the request as a WebSocket.
    Socket(SocketTarget),
    /// A service worker, by a stream of server-sent events.
    EventStream(SocketTarget),
}

/// A request, as a worker gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerRequest {
    /// The worker's class.
    pub class: String,
    /// The worker's name.
    pub name: String,
    /// What the worker is told.
    pub content: WorkerContent,
}

/// What a worker is told by a request.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkerContent {
    /// The body, which is JSON, as a message: for POST and PUT.
    Body,
    /// A call of this method with the query as an object: for GET and HEAD.
    Query {
        /// The method.
        method: String,
        /// The parameters by name: strings, and lists of strings where one is there more than once.
        query: Map<String, Value>,
    },
}

impl Rule for WorkerRules {
    type Table = WorkerTable;

    fn check(table: WorkerTable, at: &str) -> Result<Self, ConfigError> {
        let named = |key: &str, text: &str| match is_name(text) {
            true => Ok(Box::<str>::from(text)),
            false => {
                let message = format!("must have from 1 to {MAX_NAME_CHARACTERS} characters");
                Err(ConfigError::new(&format!("{at}.{key}"), message))
            }
        };
        let name = name_parts(&table.name, &format!("{at}.name"))?;
        let method = table.method.as_deref().map(|method| named("method", method)).transpose()?;
        let WorkerTable { sockets, events, .. } = table;
        Ok(Self { class: named("class", &table.class)?, name, method, sockets, events })
    }
}

/// Reads the pattern of a name: texts, and parameters in braces.
fn name_parts(pattern: &str, at: &str) -> Result<Vec<NamePart>, ConfigError> {
    let wrong = |message: String| ConfigError::new(at, message);
    let mut parts = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let (text, parameter) = rest.split_once('{').unwrap_or((rest, ""));
        let has_parameter = text.len() < rest.len();
        if text.contains('}') {
            return Err(wrong("has a `}` without a `{`".to_owned()));
        }
        if !text.is_empty() {
            parts.push(NamePart::Text(text.into()));
        }
        if !has_parameter {
            break;
        }
        let (parameter, after) =
            parameter.split_once('}').ok_or_else(|| wrong("has a `{` without a `}`".to_owned()))?;
        parts.push(match parameter.split_once(':') {
            Some(("header", name)) => NamePart::Header(header_name(name, at)?),
            Some((kind, _)) => {
                return Err(wrong(format!("`{{{kind}:...}}` must be `{{header:NAME}}`, or a parameter of the path")));
            }
            None if parameter.is_empty() => return Err(wrong("has braces with nothing between them".to_owned())),
            None if parameter == "identity" => NamePart::Identity,
            None => NamePart::Path(parameter.into()),
        });
        rest = after;
    }
    if parts.is_empty() || parts.len() > MAX_NAME_PARTS {
        return Err(wrong(format!("must have from 1 to {MAX_NAME_PARTS} parameters and texts")));
    }
    let fixed: usize =
        parts.iter().map(|part| if let NamePart::Text(text) = part { characters(text) } else { 0 }).sum();
    if fixed > MAX_NAME_CHARACTERS {
        return Err(wrong(format!("must have at most {MAX_NAME_CHARACTERS} characters")));
    }
    Ok(parts)
}

impl WorkerRules {
    /// The worker's class, which the component has to have.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// Whether the name needs the caller's identity.
    pub(crate) fn needs_identity(&self) -> bool {
        self.name.contains(&NamePart::Identity)
    }

    /// The headers that the name is made of.
    pub(crate) fn name_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.name.iter().filter_map(|part| match part {
            NamePart::Header(name) => Some(name),
            NamePart::Text(_) | NamePart::Path(_) | NamePart::Identity => None,
        })
    }

    /// A parameter of the name that a pattern does not have.
    pub(crate) fn missing_parameter(&self, pattern: &str) -> Option<&str> {
        let parameters = pattern.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let parameters: HashSet<&str> = parameters.map(|name| name.trim_start_matches('*')).collect();
        self.name.iter().find_map(|part| match part {
            NamePart::Path(name) if !parameters.contains(&**name) => Some(&**name),
            _ => None,
        })
    }

    /// How a worker responds to the request.
    ///
    /// # Errors
    /// As of [`Self::request`].
    pub(crate) fn target(
        &self,
        request: &Parts,
        params: &PathParams<'_, '_>,
        identity: Option<&Identity>,
    ) -> Result<RequestTarget, Refusal> {
        if let Some(target) = self.socket(request, params, identity)? {
            return Ok(RequestTarget::Socket(target));
        }
        if let Some(target) = self.event_stream(request, params, identity)? {
            return Ok(RequestTarget::EventStream(target));
        }
        self.request(request, params, identity).map(RequestTarget::Worker)
    }

    /// The worker that takes the request as a WebSocket; none if the request asks for none, or the route has none.
    ///
    /// # Errors
    /// [`Code::WorkerName`].
    fn socket(
        &self,
        request: &Parts,
        params: &PathParams<'_, '_>,
        identity: Option<&Identity>,
    ) -> Result<Option<SocketTarget>, Refusal> {
        if !self.sockets || request.extensions.get::<SocketHandshake>().is_none() {
            return Ok(None);
        }
        let name = self.name_for(request, params, identity)?;
        Ok(Some(SocketTarget { class: self.class.to_string(), name }))
    }

    /// The worker whose stream of events the request asks for; none if it asks for none, or the route has none.
    ///
    /// # Errors
    /// [`Code::WorkerName`].
    fn event_stream(
        &self,
        request: &Parts,
        params: &PathParams<'_, '_>,
        identity: Option<&Identity>,
    ) -> Result<Option<SocketTarget>, Refusal> {
        if !self.events || request.method != Method::GET || !accepts_events(request) {
            return Ok(None);
        }
        let name = self.name_for(request, params, identity)?;
        Ok(Some(SocketTarget { class: self.class.to_string(), name }))
    }

    /// What a worker is told by a request, and which.
    ///
    /// # Errors
    /// [`Code::MethodNotAllowed`], [`Code::UnsupportedMediaType`], [`Code::WorkerName`].
    fn request(
        &self,
        request: &Parts,
        params: &PathParams<'_, '_>,
        identity: Option<&Identity>,
    ) -> Result<WorkerRequest, Refusal> {
        let content = match (&request.method, &self.method) {
            (&Method::POST | &Method::PUT, _) => {
                check_json_headers(&request.headers)?;
                WorkerContent::Body
            }
            (&Method::GET | &Method::HEAD, Some(method)) => {
                WorkerContent::Query { method: method.to_string(), query: query_object(request.uri.query()) }
            }
            (_, method) => {
                let allow = if method.is_some() { "GET, HEAD, POST, PUT" } else { "POST, PUT" };
                return Err(Refusal::method_not_allowed(HeaderValue::from_static(allow)));
            }
        };
        let name = self.name_for(request, params, identity)?;
        Ok(WorkerRequest { class: self.class.to_string(), name, content })
    }

    /// The name of the worker that a request is for.
    fn name_for(
        &self,
        request: &Parts,
        params: &PathParams<'_, '_>,
        identity: Option<&Identity>,
    ) -> Result<String, Refusal> {
        let wrong = |detail: String| Refusal::new(Code::WorkerName).with_detail(detail);
        let mut name = String::new();
        for part in &self.name {
            match part {
                NamePart::Text(text) => name.push_str(text),
                NamePart::Path(parameter) => {
                    let value = params.get(parameter).and_then(decode);
                    name.push_str(&value.ok_or_else(|| wrong("The path must be UTF-8.".to_owned()))?);
                }
                NamePart::Header(header) => {
                    let value = single(&request.headers, header).and_then(|value| value.to_str().ok());
                    let missing = || wrong(format!("The header {header} must be there once, in ASCII."));
                    name.push_str(value.ok_or_else(missing)?);
                }
                // The route has the rule `auth`.
                NamePart::Identity => name.push_str(identity.map_or("", |identity| &identity.subject)),
            }
        }
        if !is_name(&name) {
            return Err(wrong(format!("It must have from 1 to {MAX_NAME_CHARACTERS} characters.")));
        }
        Ok(name)
    }
}

/// The methods that a route to a worker has a use for.
pub(crate) fn has_use_for(methods: &Methods, rules: &WorkerRules) -> bool {
    let reads = (rules.method.is_some() || rules.sockets || rules.events) && methods.allow(&Method::GET);
    reads || methods.allow(&Method::POST) || methods.allow(&Method::PUT)
}

/// Whether the client names `text/event-stream`, as `EventSource` does; that it takes anything is not enough.
fn accepts_events(request: &Parts) -> bool {
    let fields = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = fields.flat_map(|field| field.split(',')).filter_map(|range| range.split(';').next());
    types.any(|media_type| media_type.trim().eq_ignore_ascii_case("text/event-stream"))
}

fn characters(text: &str) -> usize {
    text.encode_utf16().count()
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_CHARACTERS).contains(&characters(text))
}

/// The query as an object.
fn query_object(query: Option<&str>) -> Map<String, Value> {
    let mut object = Map::new();
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let value = Value::from(value.into_owned());
        match object.get_mut(&*key) {
            None => drop(object.insert(key.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AuthMethod;
    use crate::rule::parse_rule;
    use http::Request;
    use serde_json::json;

    fn rules(table: Value) -> WorkerRules {
        parse_rule(&table, "worker").expect("a table")
    }

    fn ask(rules: &WorkerRules, request: http::request::Builder) -> Result<WorkerRequest, Code> {
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let mut patterns = matchit::Router::new();
        patterns.insert("/carts/{user}", ()).expect("a pattern");
        let path = parts.uri.path().to_owned();
        let matched = patterns.at(&path).expect("it matches");
        let identity = Identity {
            subject: "ada".to_owned(),
            user_id: None,
            organization_id: None,
            claims: Map::new(),
            method: AuthMethod::ApiKey,
        };
        let request = rules.request(&parts, &PathParams::new(matched.params), Some(&identity));
        request.map_err(|refusal| refusal.code())
    }

    #[test]
    fn a_stream_of_events_is_asked_for_by_its_media_type() {
        let mut patterns = matchit::Router::new();
        patterns.insert("/feed", ()).expect("a pattern");
        let params = PathParams::new(patterns.at("/feed").expect("it matches").params);
        let events = rules(json!({ "class": "Feed", "name": "all", "events": true, "method": "view" }));
        let without = rules(json!({ "class": "Feed", "name": "all", "method": "view" }));
        for (method, accept, is_stream) in [
            (Method::GET, "text/event-stream", true),
            (Method::GET, "text/html, Text/Event-Stream;q=0.5", true),
            (Method::GET, "*/*", false),
            (Method::HEAD, "text/event-stream", false),
            (Method::POST, "text/event-stream", false),
        ] {
            let request = Request::builder().method(method).uri("/feed").header("accept", accept);
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            let target = events.event_stream(&parts, &params, None).expect("a name");
            assert_eq!(target.map(|target| target.name), is_stream.then(|| "all".to_owned()), "{accept}");
            assert_eq!(without.event_stream(&parts, &params, None).expect("a name"), None);
        }
    }

    fn post(path: &str) -> http::request::Builder {
        Request::post(path).header("content-type", "application/json")
    }

    #[test]
    fn a_name_is_made_of_path_headers_and_identity() {
        for (name, is) in [
            ("{user}", "bo li"),
            ("cart-{user}", "cart-bo li"),
            ("{identity}/{header:x-shop}", "ada/berlin"),
            ("one for all", "one for all"),
        ] {
            let rules = rules(json!({ "class": "Cart", "name": name }));
            let asked = ask(&rules, post("/carts/bo%20li").header("x-shop", "berlin")).expect("a request");
            assert_eq!((asked.class.as_str(), asked.name.as_str()), ("Cart", is));
            assert_eq!(asked.content, WorkerContent::Body);
        }
        let by_header = rules(json!({ "class": "Cart", "name": "{header:x-shop}" }));
        let long = "x".repeat(257);
        assert_eq!(ask(&by_header, post("/carts/bo")), Err(Code::WorkerName));
        assert_eq!(ask(&by_header, post("/carts/bo").header("x-shop", "")), Err(Code::WorkerName));
        assert_eq!(ask(&by_header, post("/carts/bo").header("x-shop", &long)), Err(Code::WorkerName));
        let twice = post("/carts/bo").header("x-shop", "a").header("x-shop", "b");
        assert_eq!(ask(&by_header, twice), Err(Code::WorkerName));
        let by_path = rules(json!({ "class": "Cart", "name": "{user}" }));
        assert_eq!(ask(&by_path, post("/carts/%FF")), Err(Code::WorkerName));
    }

    #[test]
    fn post_is_a_message_and_get_calls_the_method() {
        let both = rules(json!({ "class": "Cart", "name": "{user}", "method": "view" }));
        let asked = ask(&both, Request::get("/carts/bo?a=1&b=x%20y&a=2&a=3&c")).expect("a request");
        let WorkerContent::Query { method, query } = asked.content else { panic!("{asked:?}") };
        assert_eq!(method, "view");
        assert_eq!(Value::Object(query), json!({ "a": ["1", "2", "3"], "b": "x y", "c": "" }));
        assert!(ask(&both, Request::head("/carts/bo")).is_ok() && ask(&both, post("/carts/bo")).is_ok());
        let messages = rules(json!({ "class": "Cart", "name": "{user}" }));
        assert_eq!(ask(&messages, Request::get("/carts/bo")), Err(Code::MethodNotAllowed));
        assert_eq!(ask(&both, Request::delete("/carts/bo")), Err(Code::MethodNotAllowed));
        assert_eq!(ask(&both, Request::post("/carts/bo")), Err(Code::UnsupportedMediaType));
        let text = Request::put("/carts/bo").header("content-type", "text/plain");
        assert_eq!(ask(&both, text), Err(Code::UnsupportedMediaType));
    }

    #[test]
    fn a_route_has_sockets_where_it_says_so() {
        let socket = |table: Value, handshake: bool, path: &str| {
            let (mut parts, ()) = Request::get(path).body(()).expect("a request").into_parts();
            if handshake {
                parts.extensions.insert(SocketHandshake);
            }
            let mut patterns = matchit::Router::new();
            patterns.insert("/rooms/{room}", ()).expect("a pattern");
            let path = parts.uri.path().to_owned();
            let params = PathParams::new(patterns.at(&path).expect("it matches").params);
            rules(table).socket(&parts, &params, None).map_err(|refusal| refusal.code())
        };
        let with = || json!({ "class": "Room", "name": "{room}", "sockets": true });
        let target = SocketTarget { class: "Room".to_owned(), name: "a b".to_owned() };
        assert_eq!(socket(with(), true, "/rooms/a%20b"), Ok(Some(target)));
        assert_eq!(socket(with(), false, "/rooms/a"), Ok(None));
        assert_eq!(socket(json!({ "class": "Room", "name": "{room}" }), true, "/rooms/a"), Ok(None));
        assert_eq!(socket(with(), true, "/rooms/%FF"), Err(Code::WorkerName));
        let get = Methods::parse(&["GET".to_owned()]).expect("a method");
        assert!(has_use_for(&get, &rules(with())) && !has_use_for(&get, &rules(json!({ "class": "A", "name": "a" }))));
    }

    #[test]
    fn errors_name_the_key() {
        let long = "x".repeat(257);
        for (table, at) in [
            (json!({ "name": "{user}" }), "worker"),
            (json!({ "class": "", "name": "{user}" }), "worker.class"),
            (json!({ "class": long, "name": "{user}" }), "worker.class"),
            (json!({ "class": "Cart", "name": "" }), "worker.name"),
            (json!({ "class": "Cart", "name": long }), "worker.name"),
            (json!({ "class": "Cart", "name": "{user" }), "worker.name"),
            (json!({ "class": "Cart", "name": "user}" }), "worker.name"),
            (json!({ "class": "Cart", "name": "{}" }), "worker.name"),
            (json!({ "class": "Cart", "name": "{query:a}" }), "worker.name"),
            (json!({ "class": "Cart", "name": "{header:a b}" }), "worker.name"),
            (json!({ "class": "Cart", "name": "{a}".repeat(17) }), "worker.name"),
            (json!({ "class": "Cart", "name": "{user}", "method": "" }), "worker.method"),
            (json!({ "class": "Cart", "name": "{user}", "methods": ["GET"] }), "worker.methods"),
        ] {
            let error = parse_rule::<WorkerRules>(&table, "worker").expect_err("an error");
            assert_eq!(error.at(), at, "{error}");
        }
    }

    #[test]
    fn a_parameter_has_to_be_in_the_path() {
        let rules = rules(json!({ "class": "Cart", "name": "{user}-{item}" }));
        assert_eq!(rules.missing_parameter("/carts/{user}/{*item}"), None);
        assert_eq!(rules.missing_parameter("/carts/{user}"), Some("item"));
        assert_eq!(rules.missing_parameter("/user/item"), Some("user"));
    }
}
