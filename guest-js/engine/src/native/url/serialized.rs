//! URLs as the standard serialises them: finds the parts of a serialised URL without parsing it, and tells whether a
//! text is already a serialised URL, so that it need not be parsed.

use std::net::Ipv4Addr;
use std::ops::Range;

/// The parts of a URL, by the numbers that `url/url.js` has for them.
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

    /// The attribute's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Href => "href",
            Self::Protocol => "protocol",
            Self::Username => "username",
            Self::Password => "password",
            Self::Host => "host",
            Self::Hostname => "hostname",
            Self::Port => "port",
            Self::Pathname => "pathname",
            Self::Search => "search",
            Self::Hash => "hash",
            Self::Origin => "origin",
        }
    }
}

/// The query of a serialised URL, without the question mark: neither it nor a fragment's number sign stands for itself
/// before.
pub(super) fn query(href: &str) -> &str {
    let Some(mark) = href.bytes().position(|byte| matches!(byte, b'?' | b'#')) else { return "" };
    if href.as_bytes()[mark] == b'#' {
        return "";
    }
    let rest = &href[mark + 1..];
    &rest[..rest.bytes().position(|byte| byte == b'#').unwrap_or(rest.len())]
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
    // By bytes: the searches of str are made for longer texts.
    let bytes = href.as_bytes();
    let from = |start: usize, wanted: u8| bytes[start..].iter().position(|&byte| byte == wanted).map(|at| start + at);
    let path = from(start, b'/')?;
    let authority = &bytes[start..path];
    if authority.contains(&b'@') {
        return None;
    }
    // A colon within brackets is an address's.
    let host_end = match authority.iter().rposition(|&byte| byte == b':') {
        Some(at) if !authority[at..].contains(&b']') => start + at,
        _ => path,
    };
    let behind = || {
        let hash = from(path, b'#').unwrap_or(href.len());
        (from(path, b'?').map_or(hash, |at| at.min(hash)), hash)
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

/// Where the parser leaves a byte as it is: in a path that has no dots behind slashes, and in a query.
const IN_PATH: u8 = 1;
const IN_QUERY: u8 = 2;

static PLAIN: [u8; 256] = {
    let mut plain = [0; 256];
    let both = b"/-_.~!$&()*+,;=:@abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut at = 0;
    while at < both.len() {
        plain[both[at] as usize] = IN_PATH | IN_QUERY;
        at += 1;
    }
    plain[b'%' as usize] = IN_QUERY;
    plain[b'?' as usize] = IN_QUERY;
    plain
};

/// Whether `http://` or `https://`, followed by these two, is a URL in its serialised form. False does not mean that it
/// is not one.
pub(crate) fn is_serialized(authority: &str, path: &str) -> bool {
    authority_is_plain(authority) && path_is_plain(path.as_bytes())
}

fn authority_is_plain(authority: &str) -> bool {
    let bytes = authority.as_bytes();
    let colon = bytes.iter().position(|&byte| byte == b':').unwrap_or(bytes.len());
    if colon < bytes.len() {
        let port = &bytes[colon + 1..];
        if !matches!(port, [b'1'..=b'9', ..]) || port.len() > 5 || !port.iter().all(u8::is_ascii_digit) {
            return false;
        }
        let number = port.iter().fold(0, |number, &digit| number * 10 + u32::from(digit - b'0'));
        if number > u32::from(u16::MAX) || matches!(number, 80 | 443) {
            return false;
        }
    }
    // A host whose last label is a number is an address, of which one way to write it is the serialised one; labels
    // that begin with xn-- have rules of their own.
    let (mut starts_label, mut last_is_name) = (true, false);
    for (at, &byte) in bytes[..colon].iter().enumerate() {
        match byte {
            b'a'..=b'z' => {
                if starts_label {
                    last_is_name = true;
                }
                if byte == b'x' && bytes[at..colon].starts_with(b"xn--") {
                    return false;
                }
                starts_label = false;
            }
            b'0'..=b'9' | b'-' => {
                if starts_label {
                    last_is_name = false;
                }
                starts_label = false;
            }
            b'.' => {
                starts_label = true;
                last_is_name = false;
            }
            _ => return false,
        }
    }
    last_is_name || authority[..colon].parse::<Ipv4Addr>().is_ok()
}

fn path_is_plain(path: &[u8]) -> bool {
    if path.first() != Some(&b'/') {
        return false;
    }
    let (mut before, mut wanted) = (0, IN_PATH);
    for &byte in path {
        if PLAIN[byte as usize] & wanted == 0 {
            if byte != b'?' {
                return false;
            }
            wanted = IN_QUERY;
        }
        if byte == b'.' && before == b'/' && wanted == IN_PATH {
            return false;
        }
        before = byte;
    }
    true
}

/// Whether the text is an http or https URL in its serialised form. False does not mean that it is not one.
pub(super) fn is_serialized_url(text: &str) -> bool {
    let rest = text.strip_prefix("http").map(|rest| rest.strip_prefix('s').unwrap_or(rest));
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix("://")) else { return false };
    let path = rest.bytes().position(|byte| byte == b'/');
    path.is_some_and(|path| is_serialized(&rest[..path], &rest[path..]))
}
