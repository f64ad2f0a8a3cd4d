//! The description of a component: manifest, sizes, digest, imports and exports.

use elias_contract::layout::{self, EngineBinding, LayoutError};
use elias_contract::manifest::Manifest;
use elias_contract::world::{self, World};
use serde::Serialize;
use std::fmt;
use wasmparser::{Parser, Payload};

/// The output of `elias-build inspect`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// SHA-256 of the file.
    pub digest: String,
    /// The component's manifest; none for components of other toolchains.
    pub manifest: Option<Manifest>,
    /// How the engine is bound: `carried`, `imported`, or none.
    pub engine: Option<&'static str>,
    /// Digest of the base to which the image is a difference, of a thin component.
    pub base: Option<String>,
    /// Sizes in bytes.
    pub sizes: Sizes,
    /// Names of the component's imports, in order.
    pub imports: Vec<String>,
    /// Names of its exports, in order.
    pub exports: Vec<String>,
}

/// Sizes in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sizes {
    /// The file.
    pub total: usize,
    /// The engine's core module, if the file carries it.
    pub engine: usize,
    /// The other core modules: the application's image.
    pub image: usize,
    /// The source map.
    pub source_map: usize,
    /// Everything else: types, wiring, manifest.
    pub other: usize,
}

/// Reads a component.
///
/// # Errors
/// [`LayoutError`] if the bytes are not a component, or not as they were made.
pub fn inspect(component: &[u8]) -> Result<Inspection, LayoutError> {
    let layout = layout::read(component)?;
    let World { imports, exports } = world::read(component)?;
    let mut modules = 0;
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { unchecked_range, .. } => {
                if depth == 0 {
                    modules += (unchecked_range.end - unchecked_range.start) as usize;
                }
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let (engine, engine_bytes) = match &layout.engine {
        Some(EngineBinding::Carried { module, .. }) => (Some("carried"), module.len()),
        Some(EngineBinding::Imported { .. }) => (Some("imported"), 0),
        None => (None, 0),
    };
    let source_map = layout.source_map.map_or(0, <[u8]>::len);
    let sizes = Sizes {
        total: component.len(),
        engine: engine_bytes,
        image: modules - engine_bytes,
        source_map,
        other: component.len() - modules - source_map,
    };
    Ok(Inspection {
        digest: elias_contract::digest(component),
        manifest: layout.manifest,
        engine,
        base: layout.base,
        sizes,
        imports,
        exports,
    })
}

/// The bill of materials in a component; none if it has none that is JSON.
///
/// # Errors
/// [`LayoutError`] if the bytes are not a component, or not as they were made.
pub fn sbom(component: &[u8]) -> Result<Option<serde_json::Value>, LayoutError> {
    Ok(layout::read(component)?.sbom.and_then(|json| serde_json::from_slice(json).ok()))
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(manifest) = &self.manifest {
            writeln!(f, "{} {}", manifest.name, manifest.version)?;
            writeln!(f, "  handlers    {}", manifest.handlers.join(", "))?;
            if !manifest.workers.is_empty() {
                writeln!(f, "  workers     {}", manifest.workers.join(", "))?;
            }
            if let Some(stage) = manifest.stage {
                writeln!(f, "  stage       {} of {}", stage.number, stage.of)?;
            }
            if manifest.eval {
                writeln!(f, "  eval        on")?;
            }
            writeln!(f, "  built by    {}", manifest.builder)?;
            writeln!(f, "  source      sha256:{}", manifest.source)?;
            writeln!(f, "  engine      sha256:{} ({})", manifest.engine, self.engine.unwrap_or("missing"))?;
        } else {
            writeln!(f, "a component without an elias manifest")?;
        }
        if let Some(base) = &self.base {
            writeln!(f, "  base        sha256:{base} (imported)")?;
        }
        writeln!(f, "  digest      sha256:{}", self.digest)?;
        writeln!(f, "  size        {} bytes", self.sizes.total)?;
        for (what, bytes) in [
            ("engine", self.sizes.engine),
            ("image", self.sizes.image),
            ("source map", self.sizes.source_map),
            ("other", self.sizes.other),
        ] {
            writeln!(f, "    {what:<10}{bytes:>10}")?;
        }
        for (what, names) in [("imports", &self.imports), ("exports", &self.exports)] {
            writeln!(f, "  {what}")?;
            for name in names {
                let needed_by = self.manifest.as_ref().and_then(|manifest| manifest.needed_by.get(name));
                match needed_by.filter(|_| what == "imports") {
                    Some(place) => writeln!(f, "    {name}  needed by {place}")?,
                    None => writeln!(f, "    {name}")?,
                }
            }
        }
        Ok(())
    }
}
