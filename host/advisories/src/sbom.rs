//! Reading a component's bill of materials. <https://cyclonedx.org/docs/1.6/json/>
//!
//! The types here have the few fields that are checked, and ignore all others, so that bills of every version of the
//! format are read within bounds. The crate `cyclonedx-bom` (0.8) models all fields of 1.3 to 1.5, and does not read
//! 1.6.

use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elias_contract::layout;
use nodejs_semver::Version;
use serde::{Deserialize, Serialize};

/// Bytes of a bill of materials.
const BYTES_MAX: usize = 16 << 20;
/// Packages in one.
const PACKAGES_MAX: usize = 20_000;
/// Bytes of a package's name, as npm has it, and of its version.
pub(super) const NAME_BYTES_MAX: usize = 214;
const VERSION_BYTES_MAX: usize = 256;

/// An npm package in a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Package {
    /// The name with the scope, such as `@scope/name`.
    pub name: String,
    /// The version, such as `4.17.21`.
    pub version: String,
    /// The well-formed integrity hashes from the lockfile of npm, such as `sha512-BASE64`; empty if there are none.
    pub integrity: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "bomFormat")]
    format: Format,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
enum Format {
    CycloneDX,
}

#[derive(Deserialize)]
struct Component {
    group: Option<String>,
    name: String,
    #[serde(default)]
    version: String,
    purl: Option<String>,
    #[serde(default)]
    hashes: Vec<Hash>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Hash {
    alg: String,
    content: String,
}

impl Package {
    /// The npm packages in a component, in the order of its bill of materials; none if it has no bill.
    ///
    /// # Errors
    /// `sbom-missing` if the bill cannot be read, `too-large` with more than 16 MiB or 20,000 packages.
    pub fn all_of(component: &[u8]) -> Result<Option<Vec<Self>>> {
        layout::read(component).ok().and_then(|layout| layout.sbom).map(Self::read).transpose()
    }

    fn read(json: &[u8]) -> Result<Vec<Self>> {
        let too_large = |what: String| Error::TooLarge(format!("the bill of materials has more than {what}"));
        if json.len() > BYTES_MAX {
            return Err(too_large(format!("{BYTES_MAX} bytes")));
        }
        let document: Document = serde_json::from_slice(json).map_err(|error| {
            Error::SbomMissing(format!("the component's bill of materials cannot be read: {error}"))
        })?;
        let Document { format: Format::CycloneDX, components } = document;
        let mut packages = Vec::new();
        let mut left: Vec<_> = components.into_iter().rev().collect();
        while let Some(component) = left.pop() {
            if packages.len() == PACKAGES_MAX {
                return Err(too_large(format!("{PACKAGES_MAX} packages")));
            }
            let Component { group, name, version, purl, hashes, components } = component;
            left.extend(components.into_iter().rev());
            // An entry without a purl is taken for a package of npm: JavaScript has no other.
            if purl.is_some_and(|purl| !purl.starts_with("pkg:npm/")) {
                continue;
            }
            let name = group.filter(|group| !group.is_empty()).map_or(name.clone(), |group| format!("{group}/{name}"));
            if name.len() > NAME_BYTES_MAX || version.len() > VERSION_BYTES_MAX {
                let longest =
                    format!("{NAME_BYTES_MAX} bytes in a package's name, or {VERSION_BYTES_MAX} in its version");
                return Err(too_large(longest));
            }
            packages.push(Self { name, version, integrity: hashes.iter().filter_map(integrity).collect() });
        }
        Ok(packages)
    }

    /// Whether one of its hashes is of an algorithm that nobody can forge a package for.
    #[must_use]
    pub fn has_strong_integrity(&self) -> bool {
        self.integrity.iter().any(|integrity| is_strong_integrity(integrity))
    }

    /// The version as npm orders them; none if it is none of npm's.
    pub(super) fn semver(&self) -> Option<Version> {
        Version::parse(&self.version).ok()
    }
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name.escape_debug(), self.version.escape_debug())
    }
}

/// A hash in hexadecimal as a Subresource Integrity string, if it is well formed. <https://www.w3.org/TR/sri-2/>
fn integrity(hash: &Hash) -> Option<String> {
    let (name, bytes) = match hash.alg.as_str() {
        "SHA-512" => ("sha512", 64),
        "SHA-384" => ("sha384", 48),
        "SHA-256" => ("sha256", 32),
        "SHA-1" => ("sha1", 20),
        _ => return None,
    };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = hash.content.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    let digest: Vec<u8> = pairs.collect::<Option<_>>()?;
    (digest.len() == bytes).then(|| format!("{name}-{}", STANDARD.encode(digest)))
}

/// Whether this is one Subresource Integrity string of SHA-256, SHA-384 or SHA-512.
pub(super) fn is_strong_integrity(text: &str) -> bool {
    let Some((algorithm, digest)) = text.split_once('-') else { return false };
    let bytes = match algorithm {
        "sha512" => 64,
        "sha384" => 48,
        "sha256" => 32,
        _ => return false,
    };
    STANDARD.decode(digest).is_ok_and(|digest| digest.len() == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn npm_packages_are_read_with_the_hashes_that_are_well_formed() {
        let sha512 = "ab".repeat(64);
        let bill = json!({ "bomFormat": "CycloneDX", "components": [
            { "group": "@s", "name": "b", "version": "1.0.0", "purl": "pkg:npm/%40s/b@1.0.0",
              "hashes": [{ "alg": "SHA-512", "content": sha512 }, { "alg": "SHA-256", "content": "abc" },
                { "alg": "MD5", "content": "00" }],
              "components": [{ "name": "inner", "version": "2.0.0",
                "hashes": [{ "alg": "SHA-1", "content": "00".repeat(20) }] }] },
            { "name": "serde", "version": "1.0.0", "purl": "pkg:cargo/serde@1.0.0" },
            { "name": "none", "hashes": [{ "alg": "SHA-256", "content": "zz".repeat(32) }] },
        ] });
        let packages = Package::read(bill.to_string().as_bytes()).expect("a bill of materials");
        assert_eq!(
            packages.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["@s/b@1.0.0", "inner@2.0.0", "none@"]
        );
        assert_eq!(packages[0].integrity.len(), 1);
        assert!(packages[0].integrity[0].starts_with("sha512-q6ur"), "{:?}", packages[0]);
        let strong: Vec<_> = packages.iter().map(Package::has_strong_integrity).collect();
        assert_eq!(strong, [true, false, false], "SHA-1 and what is malformed do not count");
    }

    #[test]
    fn a_bill_of_materials_is_bounded_and_must_be_one() {
        for malformed in [
            &b"{"[..],
            b"[]",
            b"{}",
            br#"{"bomFormat":"SPDX"}"#,
            br#"{"bomFormat":"CycloneDX","components":[{}]}"#,
            br#"{"bomFormat":"CycloneDX","components":7}"#,
        ] {
            assert_eq!(Package::read(malformed).expect_err("malformed").code(), "sbom-missing");
        }
        let bill = |components: &[Value]| json!({ "bomFormat": "CycloneDX", "components": components }).to_string();
        let many = |count: usize| bill(&vec![json!({ "name": "a" }); count]);
        assert_eq!(Package::read(many(PACKAGES_MAX).as_bytes()).map(|all| all.len()).ok(), Some(PACKAGES_MAX));
        assert_eq!(Package::read(many(PACKAGES_MAX + 1).as_bytes()).expect_err("too many").code(), "too-large");
        assert_eq!(Package::read(&vec![b' '; BYTES_MAX + 1]).expect_err("too long").code(), "too-large");
        let long = bill(&[json!({ "name": "a".repeat(NAME_BYTES_MAX + 1) })]);
        assert_eq!(Package::read(long.as_bytes()).expect_err("a long name").code(), "too-large");
    }
}
