//! The files of a version, by path.

use crate::encoding::Coding;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;

/// The most assets of a version.
pub const MAX_ASSETS: usize = 10_000;

/// The longest path of an asset, in bytes.
pub const MAX_ASSET_PATH_BYTES: usize = 1024;

/// The media type of a file of which nothing is known (RFC 9110, section 8.3).
const DEFAULT_MEDIA_TYPE: &str = "application/octet-stream";

/// An asset as a version's manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AssetEntry {
    /// From the folder, with a slash in front: `/css/main.css`.
    pub path: String,
    /// The SHA-256 of the bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// The media type; nothing means that of the path's extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The same, compressed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encodings: Vec<EncodedAsset>,
}

/// A compressed asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EncodedAsset {
    /// How it is compressed.
    pub coding: Coding,
    /// The SHA-256 of the compressed bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// How many bytes it has, compressed.
    pub bytes: u64,
}

/// An asset that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the asset \"{path}\" {message}")]
pub struct AssetError {
    path: String,
    message: String,
}

impl AssetError {
    /// The stable name of the error.
    pub const CODE: &'static str = "invalid-asset";
}

/// The assets of a version.
#[derive(Debug, Default)]
pub struct AssetTable(HashMap<Box<str>, Asset>);

#[derive(Debug)]
pub(super) struct Asset {
    pub(super) content_type: HeaderValue,
    plain: File,
    encoded: Vec<File>,
    /// The codings of `encoded`, in the order of preference.
    codings: Vec<Coding>,
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) coding: Option<Coding>,
    pub(super) digest: [u8; 32],
    pub(super) bytes: u64,
    /// A strong entity tag, of the bytes that are sent.
    pub(super) tag: HeaderValue,
}

impl File {
    fn new(coding: Option<Coding>, sha256: &str, bytes: u64) -> Option<Self> {
        let mut digest = [0; 32];
        if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (byte, digits) in digest.iter_mut().zip(sha256.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        let tag = HeaderValue::try_from(format!("\"{}\"", sha256.get(..32)?)).ok()?;
        Some(Self { coding, digest, bytes, tag })
    }
}

impl Asset {
    pub(super) fn has_encodings(&self) -> bool {
        !self.encoded.is_empty()
    }

    /// The file for the coding that is chosen of those there are.
    pub(super) fn choose(&self, choose: impl FnOnce(&[Coding]) -> Option<Coding>) -> &File {
        let chosen = if self.codings.is_empty() { None } else { choose(&self.codings) };
        self.encoded.iter().find(|file| chosen.is_some() && file.coding == chosen).unwrap_or(&self.plain)
    }
}

impl AssetTable {
    /// Checks the entries and makes a table of them.
    ///
    /// # Errors
    /// The first entry that is wrong, or is there twice; more than [`MAX_ASSETS`].
    pub fn new(entries: &[AssetEntry]) -> Result<Self, AssetError> {
        let mut table = HashMap::with_capacity(entries.len().min(MAX_ASSETS));
        for entry in entries {
            let wrong = |message: String| Err(AssetError { path: crate::problem::bounded(&entry.path), message });
            if table.len() >= MAX_ASSETS {
                return wrong(format!("is one too many: a version has at most {MAX_ASSETS}"));
            }
            if let Err(what) = check_path(&entry.path) {
                return wrong(what.to_owned());
            }
            let content_type =
                entry.content_type.as_deref().map_or_else(|| content_type_of(&entry.path), Cow::Borrowed);
            let Some(content_type) = HeaderValue::from_str(&content_type).ok().filter(|value| value.len() <= 256)
            else {
                return wrong("has a malformed media type".into());
            };
            let encoded: Option<Vec<File>> = Coding::ALL
                .into_iter()
                .flat_map(|coding| entry.encodings.iter().filter(move |file| file.coding == coding))
                .map(|file| File::new(Some(file.coding), &file.sha256, file.bytes))
                .collect();
            let (Some(plain), Some(encoded)) = (File::new(None, &entry.sha256, entry.bytes), encoded) else {
                return wrong("has a malformed SHA-256".into());
            };
            let codings: Vec<Coding> = encoded.iter().filter_map(|file| file.coding).collect();
            if codings.len() > Coding::ALL.len() {
                return wrong("is compressed in the same way twice".into());
            }
            let asset = Asset { content_type, plain, encoded, codings };
            if table.insert(entry.path.clone().into_boxed_str(), asset).is_some() {
                return wrong("is there twice".into());
            }
        }
        Ok(Self(table))
    }

    /// How many assets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, path: &str) -> Option<(&str, &Asset)> {
        if path.split('/').any(is_hidden) {
            return None; // of a version that was uploaded by other means than ours
        }
        self.0.get_key_value(path).map(|(name, asset)| (&**name, asset))
    }
}

/// The rule for the path of an asset, so that a request can name it.
pub(super) fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(rest) = path.strip_prefix('/') else { return Err("does not begin with a slash") };
    if path.len() > MAX_ASSET_PATH_BYTES {
        return Err("is longer than 1024 bytes");
    }
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        if part == "." || part == ".." || part.is_empty() && parts.peek().is_some() {
            return Err("has a part of dots, or an empty one");
        }
    }
    if path.contains(|c: char| c.is_control() || c == '\\') {
        return Err("has a backslash or a control character");
    }
    Ok(())
}

/// Whether a name of a file or folder says that it is not for others: it begins with a dot (`.env`, `.git`,
/// `.htpasswd`). The folder `.well-known` (RFC 8615) is for all.
#[must_use]
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name != ".well-known"
}

/// The media type for the extension of a path, by `mime_guess`; `application/octet-stream` for an unknown one. Texts
/// are UTF-8, since editors and build tools write nothing else.
#[must_use]
pub fn content_type_of(path: &str) -> Cow<'static, str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    let media_type = match extension.as_str() {
        // mime_guess has the obsolete `application/javascript` for `mjs` (RFC 9239), and nothing for `cjs`.
        "js" | "mjs" | "cjs" => "text/javascript",
        // A source map is JSON, for mime_guess a text.
        "map" => "application/json",
        // Without a charset, which would override the encoding that the XML declaration names (RFC 7303, section 3).
        "xml" => "application/xml",
        // mime_guess has `application/font-sfnt`, which RFC 8081 replaced.
        "otf" => "font/otf",
        // In a JavaScript project TypeScript, for mime_guess a video.
        "ts" | "mts" => DEFAULT_MEDIA_TYPE,
        extension => mime_guess::from_ext(extension).first_raw().unwrap_or(DEFAULT_MEDIA_TYPE),
    };
    match media_type.starts_with("text/") {
        true => format!("{media_type}; charset=utf-8").into(),
        false => media_type.into(),
    }
}
