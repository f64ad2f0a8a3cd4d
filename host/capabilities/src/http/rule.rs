//! The rules of the key `allow`: destinations that a component may send requests to.

use reqwest::Url;
use serde::Deserialize;

/// One entry of `allow`. A rule without a scheme allows http and https. A rule that names a host but no port allows the
/// scheme's default port only; `*`, which cannot name a port, allows every port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Rule {
    scheme: Option<String>,
    host: HostRule,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostRule {
    Any,
    /// `*.example.com`: every subdomain, but not the domain itself. The text begins with the dot.
    Below(String),
    Exactly(String),
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` in `allow` {why}; write it as in `https://api.example.com`");
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (Some(scheme.to_owned()), rest),
            Some(_) => return Err(wrong("has a scheme other than http and https")),
            None => (None, text.as_str()),
        };
        if rest.contains(['/', '@', '?', '#']) {
            return Err(wrong("has more than a scheme, a host and a port"));
        }
        if rest == "*" {
            return Ok(Self { scheme, host: HostRule::Any, port: None });
        }
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        // The URL parser brings the host into the form in which requests have it.
        let url = Url::parse(&format!("{}://{rest}/", scheme.as_deref().unwrap_or("http")));
        let url = url.map_err(|error| wrong(&format!("is not a host ({error})")))?;
        let host = url.host_str().ok_or_else(|| wrong("must have a host"))?.to_owned();
        if host.contains('*') {
            return Err(wrong("has a `*` where it stands for nothing"));
        }
        let named_port = rest.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let host = if below { HostRule::Below(format!(".{host}")) } else { HostRule::Exactly(host) };
        Ok(Self { scheme, host, port: named_port })
    }
}

impl Rule {
    /// Whether the rule allows what this URL points to.
    pub(super) fn allows(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let default_port = if url.scheme() == "https" { 443 } else { 80 };
        let port = url.port().unwrap_or(default_port);
        self.scheme.as_deref().is_none_or(|scheme| scheme == url.scheme())
            && match &self.host {
                HostRule::Any => return self.scheme.as_deref().is_none_or(|scheme| scheme == url.scheme()),
                HostRule::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
                HostRule::Exactly(name) => host == name,
            }
            && port == self.port.unwrap_or(default_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_allow_what_they_say() {
        #[track_caller]
        fn check(rule: &str, allowed: &[&str], denied: &[&str]) {
            let parsed = Rule::try_from(rule.to_owned()).expect("a rule");
            for url in allowed {
                assert!(parsed.allows(&Url::parse(url).expect("a URL")), "{rule} allows {url}");
            }
            for url in denied {
                assert!(!parsed.allows(&Url::parse(url).expect("a URL")), "{rule} does not allow {url}");
            }
        }
        check(
            "api.example.com",
            &["http://api.example.com/", "https://API.example.com/x", "https://u:p@api.example.com/"],
            &["https://api.example.com:8443/", "https://example.com/", "https://x.api.example.com/"],
        );
        check(
            "*.example.com",
            &["https://a.example.com/", "https://a.b.example.com/"],
            &["https://example.com/", "https://badexample.com/", "https://example.com.evil.test/"],
        );
        check("https://example.com:8443", &["https://example.com:8443/"], &["http://example.com:8443/"]);
        check("http://127.0.0.1:8080", &["http://127.1:8080/", "http://2130706433:8080/"], &["http://127.0.0.1/"]);
        check("*", &["http://anything.test:99/"], &[]);
        check("https://*", &["https://anything.test:99/"], &["http://anything.test/"]);
        check("[::1]:80", &["http://[::1]/"], &["http://[::2]/"]);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["ftp://example.com", "example.com/path", "user@example.com", "", "a.*.com", "https://"] {
            assert!(Rule::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
