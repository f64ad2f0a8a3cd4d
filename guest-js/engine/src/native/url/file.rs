//! `file:` URLs (URL Standard, 4.4, the states "file", "file slash", "file host" and "path"). The crate `url` keeps
//! neither drive letters nor empty segments as the standard does.

use url::Host;

/// A URL with the scheme `file`.
#[derive(Clone)]
pub(super) struct FileUrl {
    /// As it is written; may be empty.
    pub(super) host: String,
    path: Vec<String>,
    query: Option<String>,
    fragment: Option<String>,
}

impl FileUrl {
    /// Reads a text that begins with `file:`, or one without a scheme against a base.
    pub(super) fn parse(input: &str, base: Option<&Self>) -> Option<Self> {
        let input: String = input.trim_matches(|c: char| c <= ' ').chars().filter(|c| !is_passed_over(*c)).collect();
        let rest = match input.get(..5) {
            Some(scheme) if scheme.eq_ignore_ascii_case("file:") => &input[5..],
            _ => input.as_str(),
        };
        let mut url = Self { host: String::new(), path: Vec::new(), query: None, fragment: None };
        let rest = if rest.starts_with(is_slash) {
            let rest = &rest[1..];
            if rest.starts_with(is_slash) { url.read_host(&rest[1..])? } else { url.after_slash(rest, base) }
        } else if let Some(base) = base {
            url = Self { fragment: None, ..base.clone() };
            match rest.chars().next() {
                None => return Some(url),
                Some('?' | '#') => {
                    if rest.starts_with('?') {
                        url.query = None;
                    }
                    url.read_end(rest);
                    return Some(url);
                }
                Some(_) => {
                    url.query = None;
                    if starts_with_drive_letter(rest) {
                        url.path.clear()
                    } else {
                        url.shorten()
                    }
                    rest
                }
            }
        } else {
            rest
        };
        url.read_path_and_end(rest);
        Some(url)
    }

    /// After the one slash that a path begins with.
    fn after_slash<'a>(&mut self, rest: &'a str, base: Option<&Self>) -> &'a str {
        if let Some(base) = base {
            self.host.clone_from(&base.host);
            if let Some(drive) = base.path.first().filter(|segment| is_normalized_drive_letter(segment))
                && !starts_with_drive_letter(rest)
            {
                self.path.push(drive.clone());
            }
        }
        rest
    }

    /// After two slashes; gives what follows the host.
    fn read_host<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        let end = rest.find(|c| is_slash(c) || matches!(c, '?' | '#')).unwrap_or(rest.len());
        let host = &rest[..end];
        // It is the first segment of a path.
        if is_drive_letter(host) {
            return Some(rest);
        }
        self.host = host_of(host)?;
        let rest = &rest[end..];
        Some(rest.strip_prefix(is_slash).unwrap_or(rest))
    }

    fn read_path_and_end(&mut self, rest: &str) {
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        self.read_path(&rest[..end]);
        self.read_end(&rest[end..]);
    }

    /// Appends the segments of a path, whose leading slash is gone.
    fn read_path(&mut self, path: &str) {
        let mut segments = path.split(is_slash).peekable();
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            let plain = segment.replace("%2e", ".").replace("%2E", ".");
            match plain.as_str() {
                ".." => {
                    self.shorten();
                    if last {
                        self.path.push(String::new());
                    }
                }
                "." if last => self.path.push(String::new()),
                "." => {}
                _ if self.path.is_empty() && is_drive_letter(segment) => self.path.push(format!("{}:", &segment[..1])),
                _ => self.path.push(encode(segment, |c| " \"#<>?^`{}".contains(c))),
            }
        }
    }

    /// Reads a query and a fragment with the characters that they begin with.
    fn read_end(&mut self, rest: &str) {
        let (query, fragment) = match rest.split_once('#') {
            Some((query, fragment)) => (query, Some(fragment)),
            None => (rest, None),
        };
        if let Some(query) = query.strip_prefix('?') {
            self.query = Some(encode_query(query));
        }
        self.fragment = fragment.map(encode_fragment);
    }

    /// Takes the last segment away, but no drive letter.
    fn shorten(&mut self) {
        if !(self.path.len() == 1 && is_normalized_drive_letter(&self.path[0])) {
            self.path.pop();
        }
    }

    /// Sets a part like a setter of `URL`; false if it changes nothing.
    pub(super) fn set(&mut self, part: &str, value: &str) -> bool {
        let value: String = value.chars().filter(|c| !is_passed_over(*c)).collect();
        match part {
            "host" | "hostname" => {
                let end = value.find(|c| is_slash(c) || matches!(c, '?' | '#')).unwrap_or(value.len());
                match host_of(&value[..end]) {
                    Some(host) => self.host = host,
                    None => return false,
                }
            }
            "pathname" => {
                self.path.clear();
                self.read_path(value.strip_prefix(is_slash).unwrap_or(&value));
            }
            "search" => {
                let query = value.strip_prefix('?').unwrap_or(&value);
                self.query = (!query.is_empty()).then(|| encode_query(query));
            }
            "hash" => {
                let fragment = value.strip_prefix('#').unwrap_or(&value);
                self.fragment = (!fragment.is_empty()).then(|| encode_fragment(fragment));
            }
            // It has no port and no credentials.
            _ => return false,
        }
        true
    }

    pub(super) fn href(&self) -> String {
        let end = |mark, text: &Option<String>| text.as_ref().map(|text| format!("{mark}{text}")).unwrap_or_default();
        format!("file://{}{}{}{}", self.host, self.pathname(), end('?', &self.query), end('#', &self.fragment))
    }

    pub(super) fn pathname(&self) -> String {
        self.path.iter().flat_map(|segment| ["/", segment]).collect()
    }

    pub(super) fn search(&self) -> String {
        self.query.as_ref().filter(|query| !query.is_empty()).map(|query| format!("?{query}")).unwrap_or_default()
    }

    pub(super) fn hash(&self) -> String {
        self.fragment
            .as_ref()
            .filter(|fragment| !fragment.is_empty())
            .map(|text| format!("#{text}"))
            .unwrap_or_default()
    }
}

fn is_passed_over(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r')
}

fn is_slash(character: char) -> bool {
    matches!(character, '/' | '\\')
}

fn is_drive_letter(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':' | b'|'] if letter.is_ascii_alphabetic())
}

fn is_normalized_drive_letter(text: &str) -> bool {
    is_drive_letter(text) && text.ends_with(':')
}

fn starts_with_drive_letter(text: &str) -> bool {
    text.get(..2).is_some_and(is_drive_letter)
        && text[2..].chars().next().is_none_or(|next| is_slash(next) || matches!(next, '?' | '#'))
}

/// The host as it is written; this machine is the empty one.
fn host_of(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let host = Host::parse(text).ok()?.to_string();
    Some(if host == "localhost" { String::new() } else { host })
}

/// The text with those characters, and what is no printable ASCII, percent-encoded.
fn encode(text: &str, of_set: impl Fn(char) -> bool) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        if character <= '\u{1f}' || character >= '\u{7f}' || of_set(character) {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(encoded, "%{byte:02X}"); // writing to a String cannot fail
            }
        } else {
            encoded.push(character);
        }
    }
    encoded
}

fn encode_query(text: &str) -> String {
    encode(text, |c| " \"#<>'".contains(c))
}

fn encode_fragment(text: &str) -> String {
    encode(text, |c| " \"<>`".contains(c))
}
