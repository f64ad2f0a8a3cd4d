//! URLs as the standard serialises them: what can be read from the text without parsing it.
//!
//! Most URLs in a request are the request's own. Its text is remembered, so that `new URL(request.url)` does not parse
//! it again.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::ops::Range;

/// The parts of a URL, by the numbers that `url.js` has for them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Href,
    Protocol,
    Username,
    Password,
    Host,
    Hostname,
    Port,
    Pathname,
    Search,
    Hash,
    Origin,
}

impl Part {
    pub(super) const ALL: [Self; 11] = [
        Self::Href,
        Self::Protocol,
        Self::Username,
        Self::Password,
        Self::Host,
        Self::Hostname,
        Self::Port,
        Self::Pathname,
        Self::Search,
        Self::Hash,
        Self::Origin,
    ];
}

/// The query of a serialised URL, without the question mark: neither it nor a fragment's number sign stands for itself
/// before.
pub(super) fn query(href: &str) -> &str {
    let end = href.find('#').unwrap_or(href.len());
    href[..end].find('?').map_or("", |at| &href[at + 1..end])
}

/// The range of a part in a serialised http or https URL; none for other schemes, and for URLs with credentials.
pub(super) fn find(href: &str, part: Part) -> Option<Range<usize>> {
    let scheme = if href.starts_with("http://") {
        4
    } else if href.starts_with("https://") {
        5
    } else {
        return None;
    };
    let start = scheme + 3;
    let path = start + href[start..].find('/')?;
    let authority = &href[start..path];
    if authority.contains('@') {
        return None;
    }
    // A colon within brackets is an address's.
    let host_end = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => start + at,
        _ => path,
    };
    let behind = || {
        let hash = href[path..].find('#').map_or(href.len(), |at| path + at);
        (href[path..hash].find('?').map_or(hash, |at| path + at), hash)
    };
    // A question mark or a number sign alone is not shown.
    let marked = |range: Range<usize>| if range.len() == 1 { range.start..range.start } else { range };
    Some(match part {
        Part::Href => 0..href.len(),
        Part::Protocol => 0..scheme + 1,
        Part::Username | Part::Password => 0..0,
        Part::Host => start..path,
        Part::Hostname => start..host_end,
        Part::Port => (host_end + 1).min(path)..path,
        Part::Pathname => path..behind().0,
        Part::Search => marked(behind().0..behind().1),
        Part::Hash => marked(behind().1..href.len()),
        Part::Origin => 0..path,
    })
}

/// What the parser leaves as it is, of a path that has no dots behind slashes and of a query.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'/' | b'-'
                | b'_'
                | b'.'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// Whether `http://` and these are a URL as it is serialised. Where this says no, it may still be one.
pub(crate) fn is_serialized(authority: &str, path: &str) -> bool {
    let (host, port) = authority.split_once(':').unwrap_or((authority, "8080"));
    // A host whose last label is a number is an address, of which one way to write it is the serialised one; labels
    // that begin with xn-- have rules of their own.
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_plain_name = host.bytes().all(is_name)
        && last.starts_with(|first: char| first.is_ascii_lowercase())
        && !host.contains("xn--");
    let host_is_plain = is_plain_name || host.parse::<Ipv4Addr>().is_ok();
    let port_is_plain = port.starts_with(|first: char| matches!(first, '1'..='9'))
        && port.parse::<u16>().is_ok_and(|port| !matches!(port, 80 | 443));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    host_is_plain
        && port_is_plain
        && path.starts_with('/')
        && !path.contains("/.")
        && path.bytes().all(is_plain)
        && query.bytes().all(|byte| is_plain(byte) || matches!(byte, b'%' | b'?'))
}

struct Last(RefCell<String>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Last {}

static LAST: Last = Last(RefCell::new(String::new()));

/// Remembers a URL that is serialised.
pub(crate) fn remember(href: &str) {
    href.clone_into(&mut LAST.0.borrow_mut());
}

/// Whether this is the URL that was remembered.
pub(super) fn is_remembered(text: &str) -> bool {
    !text.is_empty() && *LAST.0.borrow() == text
}
