//! The manifest: what `elias-build` says of a component, in a custom section beside the code.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The custom section that holds the [`Manifest`] as JSON.
pub const MANIFEST_SECTION: &str = "elias:manifest";
/// The custom section that holds the source map (version 3, JSON) from the bundle to the original sources.
pub const SOURCE_MAP_SECTION: &str = "elias:sourcemap";
/// The custom section that holds the bill of materials: CycloneDX 1.6, as JSON.
pub const SBOM_SECTION: &str = "elias:sbom";
/// The manifest format that this version writes. A reader refuses a higher one.
pub const FORMAT: u32 = 1;
/// The largest manifest that is read, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// The longest place in a source that is shown.
const PLACE_BYTES_MAX: usize = 300;

/// The manifest: a component's description of itself.
///
/// A host treats it as the component author's claim: it shows and checks it, and grants nothing because of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// The format's version, [`FORMAT`].
    pub format: u32,
    /// The component's name, from package.json or the entry's file name.
    pub name: String,
    /// The component's version, from package.json; `0.0.0` where there is none.
    pub version: String,
    /// The handlers that the default export implements, sorted: of `call`, `event`, `events`, `fetch`, `job` and
    /// `scheduled`.
    pub handlers: Vec<String>,
    /// The classes of service workers that the entry module exports, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<String>,
    /// The WIT interfaces that the component imports, sorted.
    pub imports: Vec<String>,
    /// The JSON Schemas of what it takes and gives, as far as its source has them.
    #[serde(default, skip_serializing_if = "Schemas::is_empty")]
    pub schemas: Schemas,
    /// Which of the source's implementations this is; none where it has but the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Whether strings can be compiled as code: eval, `new Function`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub eval: bool,
    /// SHA-256 of the engine's core module, in hexadecimal.
    pub engine: String,
    /// SHA-256 over the names and contents of the bundled sources, in hexadecimal.
    pub source: String,
    /// The sources from outside of the project and of what is installed, relative to the project, sorted: those that a
    /// line of its elias.toml let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<String>,
    /// For imports that have to be granted, where the author's source first uses them: `FILE:LINE:COLUMN`, by the name
    /// of the import.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub needed_by: BTreeMap<String, String>,
    /// The program that wrote the component: `elias-build` and its version.
    pub builder: String,
}

/// JSON Schemas (draft 2020-12) of what a component takes and gives: made at build of what its source validates with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schemas {
    /// Of the input of `call`, from the export `input` or a form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Of the output of `call`, from the export `output` or a form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// The endpoints of `ELIAS.createAPI`, in the order of the source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
}

/// The most bytes of one schema in a manifest, as JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// The most bytes of all schemas of a manifest, as JSON.
pub const SCHEMAS_BYTES_MAX: usize = 512 << 10;

/// An endpoint of `ELIAS.createAPI`, with the JSON Schemas of the parts of its requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The method, such as `GET`.
    pub method: String,
    /// The path, such as `/users/:id`: `:name` is one segment, `*name` at the end all remaining ones.
    pub path: String,
    /// Of the parameters of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Value>,
    /// Of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Schemas {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input.is_none() && self.output.is_none() && self.endpoints.is_empty()
    }
}

/// One of several implementations in a source: `ELIAS.component(name).implement({ ... }).stage2().implement({ ... })`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// From 1.
    pub number: u32,
    /// The highest number that there is.
    pub of: u32,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Over [`MANIFEST_BYTES_MAX`].
    #[error("the manifest has {0} bytes; at most {MANIFEST_BYTES_MAX} are read")]
    TooLarge(usize),
    /// Not the JSON of a [`Manifest`].
    #[error("the manifest cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a later version.
    #[error("the manifest has format {0}, this host reads up to {FORMAT}; update the host")]
    Newer(u32),
    /// A digest that is not a SHA-256 in lower-case hexadecimal.
    #[error("the manifest's {0} digest is not 64 lower-case hexadecimal digits")]
    Digest(&'static str),
}

impl Manifest {
    /// Reads a manifest's JSON, as untrusted input.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge(json.len()));
        }
        // The format alone first, so that a later format's new fields are not reported as mistakes.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(json)?;
        if format > FORMAT {
            return Err(ManifestError::Newer(format));
        }
        let manifest: Self = serde_json::from_slice(json)?;
        for (name, digest) in [("engine", &manifest.engine), ("source", &manifest.source)] {
            if !is_digest(digest) {
                return Err(ManifestError::Digest(name));
            }
        }
        Ok(manifest)
    }

    /// Where the source first uses a capability, by its short name (`db`, `http`): `FILE:LINE:COLUMN`. None where the
    /// manifest does not say it, or says what cannot be shown on one line.
    #[must_use]
    pub fn first_use(&self, capability: &str) -> Option<&str> {
        let is_its = |import: &str| {
            let package = import.split('/').next().and_then(|package| package.split(':').nth(1));
            package == Some(capability)
        };
        self.shown_place(is_its)
    }

    /// As [`Self::first_use`], of an interface that is given without its version.
    #[must_use]
    pub fn first_use_of(&self, interface: &str) -> Option<&str> {
        let is_it = |import: &str| import.split('@').next() == Some(interface);
        self.shown_place(is_it)
    }

    fn shown_place(&self, is_its: impl Fn(&str) -> bool) -> Option<&str> {
        let (_, place) = self.needed_by.iter().find(|(import, _)| is_its(import))?;
        (place.len() <= PLACE_BYTES_MAX && !place.chars().any(char::is_control)).then_some(place.as_str())
    }

    /// The manifest as the JSON that the custom section holds.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // strings and numbers always serialise
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        Manifest {
            format: FORMAT,
            name: "hello".into(),
            version: "1.0.0".into(),
            handlers: vec!["fetch".into()],
            workers: vec!["Cart".into()],
            imports: vec!["wasi:http/types@0.2.12".into()],
            schemas: Schemas::default(),
            stage: None,
            eval: false,
            engine: "a".repeat(64),
            source: "0".repeat(64),
            outside: Vec::new(),
            needed_by: BTreeMap::new(),
            builder: "elias-build 0.1.0".into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Manifest::parse(&sample().to_json()).unwrap(), sample());
    }

    #[test]
    fn schemas_come_back_and_a_manifest_without_them_has_no_member() {
        assert!(!String::from_utf8(sample().to_json()).unwrap().contains("schemas"));
        let endpoint = Endpoint {
            method: "GET".into(),
            path: "/users/:id".into(),
            params: Some(serde_json::json!({ "type": "object" })),
            ..Endpoint::default()
        };
        let schemas = Schemas { input: Some(true.into()), output: None, endpoints: vec![endpoint] };
        let manifest = Manifest { schemas, ..sample() };
        assert_eq!(Manifest::parse(&manifest.to_json()).unwrap(), manifest);
    }

    #[test]
    fn says_where_a_capability_is_used() {
        let mut manifest = sample();
        manifest.needed_by.insert("elias:db/db@0.1.0".into(), "src/index.ts:3:5".into());
        manifest.needed_by.insert("wasi:http/outgoing-handler@0.2.12".into(), "a\u{1b}[2J".into());
        assert_eq!(manifest.first_use("db"), Some("src/index.ts:3:5"));
        assert_eq!((manifest.first_use("http"), manifest.first_use("cache")), (None, None));
        manifest.needed_by.insert("example:geo/places@1.0.0".into(), "src/places.js:1:1".into());
        assert_eq!(manifest.first_use_of("example:geo/places"), Some("src/places.js:1:1"));
        assert_eq!(manifest.first_use_of("example:geo/types"), None);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let refused = |change: fn(&mut serde_json::Value)| {
            let mut json = serde_json::to_value(sample()).unwrap();
            change(&mut json);
            Manifest::parse(json.to_string().as_bytes()).unwrap_err().to_string()
        };
        assert!(refused(|m| m["format"] = 2.into()).contains("update the host"));
        assert!(refused(|m| m["engine"] = "../../etc".into()).contains("engine digest"));
        assert!(refused(|m| m["extra"] = 1.into()).contains("extra"));
        assert!(Manifest::parse(&vec![b' '; MANIFEST_BYTES_MAX + 1]).is_err());
        assert!(Manifest::parse(b"\xff").is_err());
    }
}
