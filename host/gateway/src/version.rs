//! API versions by a header or a media type. A version in the path is part of the path pattern.

use crate::field::{elements, single, weighted};
use crate::rule::{ConfigError, Rule};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

/// The API version of a route: it selects among the requests of its host, path and method.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VersionRule {
    /// Requests that have this header once, with exactly this value.
    Header(HeaderName, HeaderValue),
    /// Requests that accept this media type, or have a body of it. Without parameters, in lower case.
    MediaType(Box<str>),
}

/// The table `version` of a route: either `header` and `value`, or `media-type`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct VersionTable {
    header: Option<String>,
    value: Option<String>,
    media_type: Option<String>,
}

impl Rule for VersionRule {
    type Table = VersionTable;

    fn check(table: VersionTable, at: &str) -> Result<Self, ConfigError> {
        match (table.header, table.value, table.media_type) {
            (Some(header), Some(value), None) => {
                let header = crate::rule::header_name(&header, at)?;
                let value = HeaderValue::from_str(value.trim())
                    .ok()
                    .filter(|value| !value.is_empty() && value.len() <= 128)
                    .ok_or_else(|| ConfigError::new(at, "`value` must be a header value of 1 to 128 bytes"))?;
                Ok(Self::Header(header, value))
            }
            (None, None, Some(media_type)) if is_media_type(&media_type) => {
                Ok(Self::MediaType(media_type.to_ascii_lowercase().into()))
            }
            (None, None, Some(_)) => {
                Err(ConfigError::new(at, "`media-type` must be a media type such as \"application/vnd.shop.v2+json\""))
            }
            _ => Err(ConfigError::new(at, "write either `header` and `value`, or `media-type`")),
        }
    }
}

/// RFC 9110, section 8.3.1, without parameters.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.bytes().all(inside)
    };
    text.len() <= 128 && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

impl VersionRule {
    /// How well a request fits: the larger the better, nothing if it does not.
    pub(crate) fn fit(&self, headers: &HeaderMap) -> Option<u32> {
        match self {
            Self::Header(name, value) => (single(headers, name)? == value).then_some(u32::MAX),
            Self::MediaType(wanted) => {
                let is_wanted = |value: &str| value.eq_ignore_ascii_case(wanted);
                let brought = single(headers, &CONTENT_TYPE).and_then(|value| value.to_str().ok());
                if brought.is_some_and(|value| is_wanted(weighted(value).0)) {
                    return Some(100_000);
                }
                elements(headers, &ACCEPT)
                    .map(weighted)
                    .enumerate()
                    .filter(|(_, (value, weight))| *weight > 0 && is_wanted(value))
                    // Of types with one weight, the one that is named first.
                    .map(|(at, (_, weight))| {
                        u32::from(weight) * 64 + 63_u32.saturating_sub(at.try_into().unwrap_or(63))
                    })
                    .max()
            }
        }
    }

    /// The request's header that decides.
    pub(crate) fn vary(&self) -> HeaderName {
        match self {
            Self::Header(name, _) => name.clone(),
            Self::MediaType(_) => ACCEPT,
        }
    }
}
