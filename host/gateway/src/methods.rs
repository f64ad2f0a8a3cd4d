//! The HTTP methods of a route.

use http::{HeaderValue, Method};
use std::fmt::Write;

/// The most methods that a route can list.
pub const MAX_METHODS: usize = 16;

/// Which methods a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Methods(Vec<Method>);

impl Methods {
    /// All of them.
    pub const ALL: Self = Self(Vec::new());

    /// Reads names of methods; none are all.
    ///
    /// # Errors
    /// The defect.
    pub fn parse(names: &[String]) -> Result<Self, String> {
        if names.len() > MAX_METHODS {
            return Err(format!("has more than {MAX_METHODS} methods"));
        }
        let mut methods = Vec::new();
        for name in names {
            let wrong = || format!("\"{}\" is not a method: write names like \"GET\"", crate::problem::bounded(name));
            // Methods are case-sensitive (RFC 9110, section 9.1), so one in lower case is a mistake.
            if name.len() > 32 || name.bytes().any(|byte| byte.is_ascii_lowercase()) {
                return Err(wrong());
            }
            let method = Method::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            if method == Method::CONNECT || method == Method::TRACE {
                return Err(format!("{method} cannot be routed"));
            }
            if methods.contains(&method) {
                return Err(format!("{method} is listed twice"));
            }
            methods.push(method);
        }
        Ok(Self(methods))
    }

    /// Whether a request of this method is for the route. HEAD is wherever GET is.
    #[must_use]
    pub fn allow(&self, method: &Method) -> bool {
        self.lists(method) || *method == Method::HEAD && self.lists(&Method::GET)
    }

    /// Whether the method is among them, HEAD by its own name only.
    pub(crate) fn lists(&self, method: &Method) -> bool {
        self.0.is_empty() || self.0.contains(method)
    }

    /// Whether all methods are meant.
    pub(crate) fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some request is for both.
    pub(crate) fn overlap(&self, other: &Self) -> bool {
        match (self.are_all(), other.are_all()) {
            // A route for all methods takes what the others leave.
            (true, true) => true,
            (true, false) | (false, true) => false,
            (false, false) => self.0.iter().any(|method| other.0.contains(method)),
        }
    }

    /// The value of an `Allow` header for several of them together.
    pub(crate) fn allow_value<'a>(all: impl Iterator<Item = &'a Self>) -> HeaderValue {
        let mut listed: Vec<&str> = Vec::new();
        for method in all.flat_map(|methods| &methods.0) {
            listed.push(method.as_str());
            if *method == Method::GET {
                listed.push("HEAD");
            }
        }
        listed.sort_unstable();
        listed.dedup();
        let mut text = String::new();
        for (i, name) in listed.iter().enumerate() {
            let _ = write!(text, "{}{name}", if i > 0 { ", " } else { "" });
        }
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(names: &[&str]) -> Result<Methods, String> {
        Methods::parse(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn names_are_checked() {
        assert!(methods(&["GET", "PROPFIND", "QUERY"]).is_ok());
        for wrong in ["get", "", "A B", "CONNECT", "TRACE"] {
            assert!(methods(&[wrong]).is_err(), "{wrong}");
        }
        assert!(methods(&["GET", "GET"]).is_err());
        let many: Vec<String> = (0..=MAX_METHODS).map(|i| format!("M{i}")).collect();
        assert!(Methods::parse(&many).is_err());
        assert!(Methods::parse(&many[1..]).is_ok());
    }

    #[test]
    fn head_follows_get() {
        let get = methods(&["GET", "POST"]).expect("methods");
        assert!(get.allow(&Method::HEAD));
        assert!(!get.lists(&Method::HEAD));
        assert!(!get.allow(&Method::PUT));
        assert!(Methods::ALL.allow(&Method::PUT));
        assert_eq!(Methods::allow_value([&get, &get].into_iter()), "GET, HEAD, POST");
    }
}
