//! Paths that the crate `url` parses or serialises differently from the standard, above all those of URLs with a scheme
//! that is not special. Some of them would be read back as another URL.

use std::borrow::Cow;
use url::{Position, Url};

/// Whether the scheme is one that the standard has rules for, `file` left aside.
pub(super) fn is_special(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https" | "ws" | "wss" | "ftp" | "file")
}

/// Whether a URL has a path of segments and no host, so that its path must not begin as a host does.
pub(super) fn has_no_authority(url: &Url) -> bool {
    !url.has_authority() && !url.cannot_be_a_base()
}

/// An opaque path with a query or a fragment behind it does not end with a space, which would be lost without them
/// (URL, 4.4, "opaque path state").
pub(super) fn without_space_at_end(url: Url) -> Url {
    if !url.cannot_be_a_base() || !url.path().ends_with(' ') || (url.query().is_none() && url.fragment().is_none()) {
        return url;
    }
    let end = url.scheme().len() + 1 + url.path().len();
    let href = url.as_str();
    Url::parse(&format!("{}%20{}", &href[..end - 1], &href[end..])).unwrap_or(url)
}

/// The path percent-encode set has `^` in it (URL, 1.3); opaque paths are encoded less.
pub(super) fn with_carets_encoded(url: Url) -> Url {
    if !url.path().as_bytes().contains(&b'^') || url.cannot_be_a_base() {
        return url;
    }
    let path = url.path().replace('^', "%5E");
    Url::parse(&format!("{}{path}{}", &url[..Position::BeforePath], &url[Position::AfterPath..])).unwrap_or(url)
}

/// A text for a base with a special scheme: of the slashes before a host all but two are passed over (URL, 4.4,
/// "special authority ignore slashes state").
pub(super) fn with_two_slashes<'a>(input: &'a str, base: &Url) -> Cow<'a, str> {
    let trimmed = input.trim_start_matches(|c: char| c <= ' ');
    if !trimmed.starts_with(['/', '\\']) || !is_special(base) {
        return Cow::Borrowed(input);
    }
    let is_slash = |c: &char| matches!(c, '/' | '\\');
    let rest = trimmed.trim_start_matches(['/', '\\', '\t', '\n', '\r']);
    let slashes = trimmed[..trimmed.len() - rest.len()].chars().filter(is_slash).count();
    if slashes > 2 { Cow::Owned(format!("//{rest}")) } else { Cow::Borrowed(input) }
}

/// The part after the path.
fn rest(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let fragment = url.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
    query + &fragment
}

pub(super) fn without_line_breaks(value: &str) -> String {
    value.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect()
}

/// A value as it can be a part of a path: what would end the path is encoded, and what is not read at a text's end.
fn encoded(value: &str) -> String {
    let mut path = String::with_capacity(value.len());
    for character in without_line_breaks(value).chars() {
        match character {
            '?' | '#' | '\0'..=' ' => path.push_str(&format!("%{:02X}", u32::from(character))),
            _ => path.push(character),
        }
    }
    path
}

/// The URL with another path; nothing where it has an opaque one.
pub(super) fn with_pathname(url: &Url, value: &str) -> Option<Url> {
    if url.cannot_be_a_base() {
        return None;
    }
    let value = encoded(value);
    let authority = url.has_authority().then(|| {
        let href = url.as_str();
        let begin = url.scheme().len() + 3;
        &href[begin..href.len() - rest(url).len() - url.path().len()]
    });
    let scheme = url.scheme();
    let path = match (value.as_str(), authority) {
        ("", Some(_)) => String::new(),
        ("", None) => "/".to_owned(),
        // Where there is a host no path is taken for one.
        (value, _) => {
            let slash = if value.starts_with('/') { "" } else { "/" };
            Url::parse(&format!("{scheme}://host{slash}{value}")).ok()?.path().to_owned()
        }
    };
    let before = match authority {
        Some(authority) => format!("//{authority}"),
        None if path.starts_with("//") => "/.".to_owned(),
        None => String::new(),
    };
    Url::parse(&format!("{scheme}:{before}{path}{}", rest(url))).ok()
}

/// Sets the host of a URL that has none; `None` if `value` is not a host. `port` says whether it may have a port.
pub(super) fn with_host(url: &Url, value: &str, port: bool) -> Option<Url> {
    let value = without_line_breaks(value);
    let host = value.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    if host.contains('@') || (has_port && !port) || host.starts_with(':') {
        return None;
    }
    Url::parse(&format!("{}://{host}{}{}", url.scheme(), url.path(), rest(url))).ok()
}
