//! Static files of a version: conditional requests, ranges and content codings (RFC 9110, sections 12 to 14). The
//! server reads the bytes.

mod table;

pub use table::{
    AssetEntry, AssetError, AssetTable, EncodedAsset, MAX_ASSET_PATH_BYTES, MAX_ASSETS, content_type_of, is_hidden,
};

use crate::encoding::negotiate;
use crate::field::{Comparison, elements, lists_entity_tag, single, weighted};
use crate::path;
use crate::problem::{Code, Refusal};
use crate::rule::{ConfigError, Rule, within};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use std::borrow::Cow;
use std::ops::Range;
use table::Asset;

/// How a route serves the version's files.
#[derive(Debug, Clone)]
pub struct AssetRules {
    folder: Box<str>,
    prefix: Box<str>,
    fallback: Option<Box<str>>,
    exclusive: bool,
    max_age: u32,
    immutable: Vec<Box<str>>,
}

/// The table `assets`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AssetsTable {
    folder: String,
    prefix: Option<String>,
    fallback: Option<String>,
    #[serde(default)]
    exclusive: bool,
    max_age: Option<u32>,
    #[serde(default)]
    immutable: Vec<String>,
}

impl Rule for AssetRules {
    type Table = AssetsTable;

    fn check(table: AssetsTable, at: &str) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError::new(at, message);
        let inside = |folder: &str| {
            let parts_stay = folder.split('/').all(|part| part != ".." && !part.is_empty());
            folder.len() <= MAX_ASSET_PATH_BYTES && parts_stay && !folder.contains(['\\', ':'])
        };
        let folder = table.folder.strip_suffix('/').unwrap_or(&table.folder);
        if !inside(folder) {
            return Err(wrong("`folder` must be a folder within the project, such as \"public\"".into()));
        }
        let path = |text: String, key: &str| {
            table::check_path(&text).map_err(|what| wrong(format!("`{key}` {what}"))).map(|()| text.into_boxed_str())
        };
        let prefix = match table.prefix.as_deref() {
            None | Some("/") => Box::from(""),
            Some(prefix) if prefix.ends_with('/') => {
                return Err(wrong("`prefix` ends with a slash: leave that out".into()));
            }
            Some(prefix) => path(prefix.to_owned(), "prefix")?,
        };
        if table.immutable.len() > 64 {
            return Err(wrong("`immutable` has more than 64 paths".into()));
        }
        Ok(Self {
            folder: folder.into(),
            prefix,
            fallback: table.fallback.map(|text| path(text, "fallback")).transpose()?,
            exclusive: table.exclusive,
            max_age: within(table.max_age.unwrap_or(0), [0, 31_536_000], at, "max-age")?,
            immutable: table.immutable.into_iter().map(|text| path(text, "immutable")).collect::<Result<_, _>>()?,
        })
    }
}

impl AssetRules {
    /// The folder of the project whose files are uploaded with a version, relative and without a slash at the end.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The asset that requests for pages get which have none: a single-page application's.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// How long clients may keep an asset without asking.
    fn cache_control(&self, asset: &str, private: bool) -> HeaderValue {
        let scope = if private { "private" } else { "public" };
        let page = asset.ends_with(".html");
        let listed = self.immutable.iter().any(|prefix| asset.starts_with(&**prefix));
        let text = match () {
            () if !page && (listed || is_content_hashed(asset)) => format!("{scope}, max-age=31536000, immutable"),
            () if page || self.max_age == 0 => format!("{scope}, max-age=0, must-revalidate"),
            () => format!("{scope}, max-age={}", self.max_age),
        };
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("no-store"))
    }
}

/// Whether a file's name has a hash of its content: eight or more hexadecimal digits between dots, dashes or
/// underscores, among them a letter and a digit. Names of other kinds are listed in `immutable`, for a file that
/// changes under such a name is lost to its readers.
fn is_content_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    stem.split(['.', '-', '_']).skip(1).any(|part| {
        let hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        part.len() >= 8
            && hex
            && part.contains(|c: char| c.is_ascii_digit())
            && part.contains(|c: char| !c.is_ascii_digit())
    })
}

/// The response to a request for an asset.
#[derive(Debug)]
pub enum AssetResponse {
    /// Bytes of an asset.
    Bytes {
        /// 200 or 206.
        status: StatusCode,
        /// All headers, `Content-Length` among them.
        headers: HeaderMap,
        /// The SHA-256 of the file to read, which is the compressed one where the headers say so.
        digest: [u8; 32],
        /// Which of its bytes.
        range: Range<u64>,
        /// Whether the bytes are to be sent, and not only the headers.
        body: bool,
    },
    /// No body: 304, or 308 to the path with a slash at the end.
    Empty {
        /// The status.
        status: StatusCode,
        /// All headers.
        headers: HeaderMap,
    },
    /// An error.
    Refused(Refusal),
}

/// The asset that a path names.
enum Hit<'t> {
    File(&'t str, &'t Asset),
    Folder,
    Fallback(&'t str, &'t Asset),
}

impl AssetTable {
    /// The response to a request; none if the component is to respond. `private` says that shared caches must not store
    /// the response.
    #[must_use]
    pub fn respond(&self, rules: &AssetRules, request: &Parts, private: bool) -> Option<AssetResponse> {
        let readable = request.method == Method::GET || request.method == Method::HEAD;
        let (name, asset) = match self.hit(rules, request) {
            Some(_) if !readable && rules.exclusive => {
                let allow = HeaderValue::from_static("GET, HEAD");
                return Some(AssetResponse::Refused(Refusal::new(Code::MethodNotAllowed).with_header(ALLOW, allow)));
            }
            None if rules.exclusive && self.is_under(rules, request) => {
                return Some(AssetResponse::Refused(Refusal::new(Code::NoAsset)));
            }
            Some(_) if !readable => return None,
            None => return None,
            Some(Hit::Folder) => return Some(to_folder(request)),
            Some(Hit::File(name, asset) | Hit::Fallback(name, asset)) => (name, asset),
        };
        Some(response_of(asset, rules.cache_control(name, private), request))
    }

    fn is_under(&self, rules: &AssetRules, request: &Parts) -> bool {
        relative(rules, request).is_some()
    }

    fn hit<'t>(&'t self, rules: &'t AssetRules, request: &Parts) -> Option<Hit<'t>> {
        let path = relative(rules, request)?;
        if let Some((name, asset)) = self.get(&path) {
            return Some(Hit::File(name, asset));
        }
        let folder = path.ends_with('/');
        let index = if folder { format!("{path}index.html") } else { format!("{path}/index.html") };
        match self.get(&index) {
            Some((name, asset)) if folder => return Some(Hit::File(name, asset)),
            Some(_) => return Some(Hit::Folder),
            None => {}
        }
        let (name, asset) = self.get(rules.fallback.as_deref()?)?;
        let page = path.rsplit('/').next().is_some_and(|last| !last.contains('.'));
        let html = elements(&request.headers, &ACCEPT)
            .map(weighted)
            .any(|(kind, weight)| weight > 0 && kind.eq_ignore_ascii_case("text/html"));
        (page && html).then_some(Hit::Fallback(name, asset))
    }
}

/// The path below the prefix, percent-decoded. It is only compared with the names of assets, never opened.
fn relative<'p>(rules: &AssetRules, request: &'p Parts) -> Option<Cow<'p, str>> {
    let rest = request.uri.path().strip_prefix(&*rules.prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| path::decode(rest)).flatten()
}

/// Links within a folder's page are relative to the path with the slash.
fn to_folder(request: &Parts) -> AssetResponse {
    let query = request.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    // A path that began with two slashes would be another host's.
    let path = request.uri.path().trim_start_matches('/');
    let mut headers = HeaderMap::new();
    if let Ok(location) = HeaderValue::try_from(format!("/{path}/{query}")) {
        headers.insert(LOCATION, location);
    }
    AssetResponse::Empty { status: StatusCode::PERMANENT_REDIRECT, headers }
}

fn response_of(asset: &Asset, cache_control: HeaderValue, request: &Parts) -> AssetResponse {
    let file = asset.choose(|offered| negotiate(&request.headers, offered));
    let tag = file.tag.clone();
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, tag.clone());
    headers.insert(CACHE_CONTROL, cache_control);
    if asset.has_encodings() {
        headers.insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
    }
    // In the order of RFC 9110, section 13.2.2.
    if request.headers.contains_key(IF_MATCH)
        && !lists_entity_tag(&request.headers, &IF_MATCH, &tag, Comparison::Strong)
    {
        return AssetResponse::Refused(Refusal::new(Code::PreconditionFailed));
    }
    if lists_entity_tag(&request.headers, &IF_NONE_MATCH, &tag, Comparison::Weak) {
        return AssetResponse::Empty { status: StatusCode::NOT_MODIFIED, headers };
    }
    headers.insert(CONTENT_TYPE, asset.content_type.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(coding) = file.coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    }
    let mut status = StatusCode::OK;
    let mut range = 0..file.bytes;
    // A condition on a date is not met, for there are no dates.
    let current = match request.headers.get(IF_RANGE) {
        Some(condition) => *condition == tag,
        None => true,
    };
    let asked = single(&request.headers, &RANGE).filter(|_| request.method == Method::GET && current);
    match asked.and_then(|value| parse_range(value.to_str().ok()?, file.bytes)) {
        None => {}
        Some(Some(part)) => {
            status = StatusCode::PARTIAL_CONTENT;
            insert(
                &mut headers,
                CONTENT_RANGE,
                format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), file.bytes),
            );
            range = part;
        }
        Some(None) => {
            let all = HeaderValue::try_from(format!("bytes */{}", file.bytes));
            let refusal = Refusal::new(Code::RangeNotSatisfiable);
            return AssetResponse::Refused(match all {
                Ok(all) => refusal.with_header(CONTENT_RANGE, all),
                Err(_) => refusal,
            });
        }
    }
    headers.insert(CONTENT_LENGTH, range.end.saturating_sub(range.start).into());
    AssetResponse::Bytes { status, headers, digest: file.digest, range, body: request.method == Method::GET }
}

fn insert(headers: &mut HeaderMap, name: http::HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// Parses one range of bytes. None if it is malformed or has several ranges: the response is the whole file then.
/// `Some(None)` if the range has none of the file's bytes.
fn parse_range(text: &str, bytes: u64) -> Option<Option<Range<u64>>> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are more than any file has.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let part = match (first, last) {
        ("", last) => bytes.saturating_sub(number(last)?)..bytes,
        (first, "") => number(first)?..bytes,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(bytes)
        }
    };
    Some((part.start < part.end).then_some(part))
}

#[cfg(test)]
mod tests;
