//! The entries of the log: what each states about a version.

use super::LogError;
use serde::{Deserialize, Serialize};

/// The format of entries that this version writes. Readers take it and the first, which says nothing of the settings.
pub const ENTRY_FORMAT: u32 = 2;
/// The format of entries without `settings`.
const FORMAT_WITHOUT_SETTINGS: u32 = 1;
/// The largest entry, in bytes. (C2SP tlog-tiles allows 65,535.)
pub const ENTRY_BYTES_MAX: usize = 8 << 10;

const NAME_BYTES_MAX: usize = 256;
const SIGNERS_MAX: usize = 16;
/// The largest integer that every reader of JSON takes: 2^53 - 1.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// An entry of the log: that a version was accepted. Its bytes, which are hashed, are this JSON without white space,
/// with the members in this order:
///
/// ```text
/// {"format":2,"tenant":"acme","component":"shop","version":7,"sha256":"2c26...","manifest":"fcde...",
///  "settings":"9a3b...","signers":["example.com/team+0f3a9c1e"],"time":1767225600000}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// The format, [`ENTRY_FORMAT`].
    pub format: u32,
    /// The tenant that owns the version; 1 to 256 bytes without control characters.
    pub tenant: String,
    /// The component that it is a version of; likewise.
    pub component: String,
    /// The version's number, from 1.
    pub version: u64,
    /// SHA-256 of the component's file, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of the manifest's JSON, in hexadecimal; not there for components without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// SHA-256 of what the version asks for, in hexadecimal; not there in entries of format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// The keys whose signatures were found good, as `NAME+HASH`; at most 16.
    pub signers: Vec<String>,
    /// When it was accepted by the clock of the host that did, in milliseconds since 1970.
    pub time: u64,
}

impl LogEntry {
    /// The entry's bytes.
    ///
    /// # Errors
    /// [`LogError::Entry`] if a field is not as its documentation says, or all are over [`ENTRY_BYTES_MAX`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, LogError> {
        let wrong = |what: &str| Err(LogError::Entry(format!("`{what}` is empty, too large, or has other characters")));
        let format = if self.settings.is_some() { ENTRY_FORMAT } else { FORMAT_WITHOUT_SETTINGS };
        if self.format != format {
            return Err(LogError::Entry(format!("its format is {}, not {format}; update", self.format)));
        }
        for (name, value) in [("tenant", &self.tenant), ("component", &self.component)] {
            if !is_name(value) {
                return wrong(name);
            }
        }
        if !(1..=INTEGER_MAX).contains(&self.version) || self.time > INTEGER_MAX {
            return wrong(if self.time > INTEGER_MAX { "time" } else { "version" });
        }
        let digests = [
            ("sha256", Some(&self.sha256)),
            ("manifest", self.manifest.as_ref()),
            ("settings", self.settings.as_ref()),
        ];
        for (name, value) in digests {
            if value.is_some_and(|digest| !is_digest(digest)) {
                return wrong(name);
            }
        }
        if self.signers.len() > SIGNERS_MAX || !self.signers.iter().all(|signer| is_name(signer)) {
            return wrong("signers");
        }
        let bytes = serde_json::to_vec(self).map_err(|error| LogError::Entry(error.to_string()))?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(LogError::Entry(format!(
                "it has {} bytes; at most {ENTRY_BYTES_MAX} are allowed",
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    /// Reads an entry, as untrusted input.
    ///
    /// # Errors
    /// [`LogError::Entry`] if it is not an entry, or not as [`LogEntry::to_bytes`] writes it.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(LogError::Entry(format!("it has {} bytes; at most {ENTRY_BYTES_MAX} are read", bytes.len())));
        }
        let entry: Self = serde_json::from_slice(bytes).map_err(|error| LogError::Entry(error.to_string()))?;
        // One meaning has one encoding, so that two readers of a hash cannot see two entries.
        if entry.to_bytes()? != bytes {
            return Err(LogError::Entry("it is not in the canonical form".to_owned()));
        }
        Ok(entry)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
