//! Host names: of requests, normalized, and of routes, with wildcards.

use std::borrow::Cow;
use std::fmt;

/// The longest host name, in bytes (RFC 1035, section 2.3.4).
pub const MAX_HOST_BYTES: usize = 253;

/// The hosts of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostRule {
    /// This host, in lower case.
    Exact(Box<str>),
    /// All subdomains of this host: `*.example.com` is `example.com` here.
    Subdomains(Box<str>),
    /// Every host that no other rule has. Only the platform's operators can set it, not the configuration of a version.
    Any,
}

impl HostRule {
    /// Reads `shop.example.com` or `*.example.com`.
    ///
    /// # Errors
    /// The defect.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let wrong = |_| format!("\"{text}\" is not a host: write one like \"shop.example.com\" or \"*.example.com\"");
        if name.contains(':') && !name.starts_with('[') {
            return Err(format!("\"{text}\": a host is written without a port"));
        }
        let name = normalize(name).map_err(wrong)?.into_owned().into_boxed_str();
        match wildcard {
            true if name.starts_with('[') => Err(wrong(BadHost)),
            true => Ok(Self::Subdomains(name)),
            false => Ok(Self::Exact(name)),
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Subdomains(name) => write!(f, "*.{name}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// A host that is empty, malformed or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is malformed")]
pub struct BadHost;

/// The one spelling of a request's host: lower case, without port and without one trailing dot.
///
/// # Errors
/// [`BadHost`] for whatever could be taken for two hosts: empty labels, user information, percent signs, characters
/// that are in no host name, a port that is not a number.
pub fn normalize(host: &str) -> Result<Cow<'_, str>, BadHost> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(BadHost)?;
        check_port(port)?;
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| BadHost)?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    let name = match host.split_once(':') {
        Some((name, port)) => {
            check_digits(port)?;
            name
        }
        None => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > MAX_HOST_BYTES {
        return Err(BadHost);
    }
    let (mut label, mut upper) = (0_usize, false);
    for byte in name.bytes() {
        match byte {
            b'.' if label == 0 => return Err(BadHost),
            b'.' => label = 0,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            b'A'..=b'Z' => {
                label += 1;
                upper = true;
            }
            _ => return Err(BadHost),
        }
        if label > 63 {
            return Err(BadHost);
        }
    }
    if label == 0 {
        return Err(BadHost);
    }
    Ok(if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) })
}

fn check_port(text: &str) -> Result<(), BadHost> {
    match text.strip_prefix(':') {
        Some(port) => check_digits(port),
        None if text.is_empty() => Ok(()),
        None => Err(BadHost),
    }
}

/// RFC 3986, section 3.2.3: a port is digits, and may be empty.
fn check_digits(port: &str) -> Result<(), BadHost> {
    let fits = port.is_empty() || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    if fits { Ok(()) } else { Err(BadHost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_spelling() {
        let long = format!("{}.test", "a".repeat(64));
        let cases = [
            ("shop.test", Some("shop.test")),
            ("SHOP.Test", Some("shop.test")),
            ("shop.test:8080", Some("shop.test")),
            ("shop.test:", Some("shop.test")),
            ("shop.test.", Some("shop.test")),
            ("shop.test.:80", Some("shop.test")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("[0:0::1]", Some("[::1]")),
            ("a_b.test", Some("a_b.test")),
            ("", None),
            (".", None),
            (":80", None),
            ("shop..test", None),
            (".shop.test", None),
            ("shop.test..", None),
            ("shop.test:80:80", None),
            ("shop.test:http", None),
            ("shop.test:99999", None),
            ("user@shop.test", None),
            ("shop%2etest", None),
            ("shop.test/x", None),
            ("shop test", None),
            ("sh\u{f6}p.test", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[shop]", None),
            (long.as_str(), None),
        ];
        for (host, expected) in cases {
            assert_eq!(normalize(host).ok().as_deref(), expected, "{host}");
        }
        assert!(normalize(&"a.".repeat(127)).is_ok());
        assert!(normalize(&"a.".repeat(128)).is_err());
    }

    #[test]
    fn rules_are_hosts_or_all_subdomains_of_one() {
        assert_eq!(HostRule::parse("Shop.Test"), Ok(HostRule::Exact("shop.test".into())));
        assert_eq!(HostRule::parse("*.Shop.test."), Ok(HostRule::Subdomains("shop.test".into())));
        assert_eq!(HostRule::parse("*.shop.test").map(|rule| rule.to_string()), Ok("*.shop.test".into()));
        for wrong in ["", "*", "*.", "*.*.test", "a*.test", "shop.test:80", "*.[::1]", "https://shop.test"] {
            let message = HostRule::parse(wrong).expect_err(wrong);
            assert!(message.contains(wrong), "{message}");
        }
    }
}
