//! Paths of URLs whose scheme has no rules of its own ("not special"): the crate `url` writes some of them so that
//! they read back as something else.

use url::Url;

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

/// What comes after the path.
fn rest(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let fragment = url.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
    query + &fragment
}

fn without_line_breaks(value: &str) -> String {
    value.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect()
}

/// The URL with another path; nothing where it has an opaque one.
pub(super) fn with_pathname(url: &Url, value: &str) -> Option<Url> {
    if url.cannot_be_a_base() {
        return None;
    }
    // These would end the path, and a space at the end of the text would not be read.
    let value = without_line_breaks(value).replace('?', "%3F").replace('#', "%23").replace(' ', "%20");
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

/// A URL without a host with that one; nothing if it is none. `port` says whether the value may have one.
pub(super) fn with_host(url: &Url, value: &str, port: bool) -> Option<Url> {
    let value = without_line_breaks(value);
    let host = value.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    if host.contains('@') || (has_port && !port) || host.starts_with(':') {
        return None;
    }
    Url::parse(&format!("{}://{host}{}{}", url.scheme(), url.path(), rest(url))).ok()
}
