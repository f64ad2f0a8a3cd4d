//! The specification of a component: what it exports, is started by, takes and gives, needs and may use, as one
//! document that two versions can be compared by.

mod openapi;

use crate::changes::{collect_changes, in_order, texts_as_members, triggers_by_name};
use crate::error::{Code, Error, Result};
use crate::versions::VersionSettings;
use elias_advisories::Package;
use elias_contract::{ErrorCode, layout, world};
use elias_names::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The format of the specifications that this version writes. A reader refuses a higher one.
pub const SPECIFICATION_FORMAT: u32 = 1;

/// The specification of a component with its settings.
///
/// The same component and settings give the same bytes: lists and members are sorted where their order means nothing,
/// and no time is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Specification {
    /// The format of this document: 1.
    pub format: u32,
    /// The name of the component.
    pub name: String,
    /// The version in its package.json; empty for components of other toolchains.
    pub version: String,
    /// The SHA-256 digests of its parts.
    pub digests: SpecifiedDigests,
    /// The names of its WebAssembly exports.
    pub exports: Vec<String>,
    /// The names of its WebAssembly imports.
    pub imports: Vec<String>,
    /// The handlers of its default export, such as `fetch` and `job`.
    pub handlers: Vec<String>,
    /// The classes of service workers that it exports.
    pub workers: Vec<String>,
    /// The JSON Schemas of what it takes and gives: `input` and `output` of `call`, and its `endpoints`.
    #[schema(value_type = Object)]
    pub schemas: Value,
    /// The table `[triggers]`: schedules, subscriptions to events and kinds of jobs; null for none.
    #[schema(value_type = Option<Object>)]
    pub triggers: Option<Value>,
    /// The table `[gateway]`: its routes and their rules; null for the defaults.
    #[schema(value_type = Option<Object>)]
    pub gateway: Option<Value>,
    /// The grants: a map from the name of a capability to its table.
    #[schema(value_type = Object)]
    pub grants: Map<String, Value>,
    /// The limits that it sets itself.
    pub limits: BTreeMap<String, u64>,
    /// The table `[supervision]`; null for the defaults.
    #[schema(value_type = Option<Object>)]
    pub supervision: Option<Value>,
    /// The table `[workers]`; null for the defaults.
    #[schema(value_type = Option<Object>)]
    pub worker_settings: Option<Value>,
    /// The files that belong to it: a map from the path to the SHA-256.
    pub files: BTreeMap<String, Digest>,
    /// The npm packages in it: a map from `name@version` to the integrity hashes of the lockfile; null if it does not
    /// say which are in it.
    pub packages: Option<BTreeMap<String, Vec<String>>>,
}

/// The SHA-256 digests of a component, each as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecifiedDigests {
    /// Of the component.
    pub component: String,
    /// Of its settings.
    pub settings: String,
    /// Of its engine; null for components of other toolchains.
    pub engine: Option<String>,
    /// Of its sources; null for components of other toolchains.
    pub source: Option<String>,
}

impl Specification {
    /// The specification of a component's bytes with these settings. `name` is for components of other toolchains,
    /// which do not say it.
    ///
    /// # Errors
    /// `bad-component` for bytes that are not a component, and `sbom-missing` or `too-large` for a bill of materials
    /// that cannot be read.
    pub fn of(name: &str, component: &[u8], settings: &VersionSettings) -> Result<Self> {
        let bad = |error: layout::LayoutError| Error::new(Code::Component(ErrorCode::BadComponent), error.to_string());
        let manifest = layout::read(component).map_err(bad)?.manifest;
        let world = world::read(component).map_err(bad)?;
        let packages = Package::all_of(component)?.map(|packages| {
            packages.into_iter().map(|package| (package.to_string(), package.integrity)).collect::<BTreeMap<_, _>>()
        });
        let digest_of = |of: fn(&elias_contract::manifest::Manifest) -> &String| manifest.as_ref().map(of).cloned();
        let digests = SpecifiedDigests {
            component: elias_contract::digest(component),
            settings: settings.digest(),
            engine: digest_of(|manifest| &manifest.engine),
            source: digest_of(|manifest| &manifest.source),
        };
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names
        };
        let ordered = |table: &Option<Value>| table.clone().map(in_order);
        let schemas = manifest.as_ref().map(|manifest| serde_json::to_value(&manifest.schemas)).transpose();
        let schemas = schemas.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let grants = settings.capabilities.iter().map(|(name, grant)| (name.clone(), in_order(grant.clone())));
        let (name, version, handlers, workers) = match manifest {
            Some(manifest) => (manifest.name, manifest.version, manifest.handlers, manifest.workers),
            None => (name.to_owned(), String::new(), Vec::new(), Vec::new()),
        };
        Ok(Self {
            format: SPECIFICATION_FORMAT,
            name,
            version,
            digests,
            exports: sorted(world.exports),
            imports: sorted(world.imports),
            handlers,
            workers,
            schemas: in_order(schemas.unwrap_or_else(|| Value::Object(Map::new()))),
            triggers: ordered(&settings.triggers),
            gateway: ordered(&settings.gateway),
            // In the order of names, whichever kind of map serde_json has.
            grants: grants.collect::<BTreeMap<_, _>>().into_iter().collect(),
            limits: settings.limits.clone(),
            supervision: ordered(&settings.supervision),
            worker_settings: ordered(&settings.workers),
            files: settings.files.clone(),
            packages,
        })
    }

    /// Reads a specification that was written before.
    ///
    /// # Errors
    /// `bad-input` for another document, and for a format of a later version.
    pub fn parse(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let bad = |error: serde_json::Error| Error::new(Code::BadInput, format!("not a specification: {error}"));
        let Format { format } = serde_json::from_slice(json).map_err(bad)?;
        if format > SPECIFICATION_FORMAT {
            let message = format!(
                "the specification has format {format}, this version reads up to {SPECIFICATION_FORMAT}; update elias"
            );
            return Err(Error::new(Code::BadInput, message));
        }
        serde_json::from_slice(json).map_err(bad)
    }

    /// The differences to a later specification, each as `path: before -> after`; at most 1,000.
    #[must_use]
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let comparable = |specification: &Self| {
            let value = serde_json::to_value(specification).unwrap_or_default(); // strings and numbers serialise
            texts_as_members(triggers_by_name(value))
        };
        let mut changes = Vec::new();
        collect_changes("", Some(&comparable(self)), Some(&comparable(later)), &mut changes);
        changes
    }

    /// The OpenAPI 3.1 document of its endpoints and routes.
    #[must_use]
    pub fn openapi(&self) -> Value {
        openapi::document(self)
    }
}

#[cfg(test)]
mod tests;
