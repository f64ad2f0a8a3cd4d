//! The code of a version, by which workers of another version go on in this one without losing their heaps.

use crate::error::Error;
use elias_contract::ErrorCode;
use elias_contract::manifest::Manifest;
use elias_contract::swap::{self, Code};
use std::collections::HashSet;
use std::sync::Arc;

/// The level at which it is compressed: it is needed once for each worker that is swapped.
const ZSTD_LEVEL: i32 = 1;

/// The code of a version of a component: what [`TurnKind::Swap`](crate::TurnKind::Swap) puts under a worker's objects.
/// Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct WorkerCode(Arc<PackedCode>);

#[derive(Debug)]
struct PackedCode {
    name: String,
    /// The web modules that it needs, separated by spaces.
    modules: String,
    /// The source, compressed.
    packed: Vec<u8>,
    source_bytes: usize,
}

impl WorkerCode {
    /// Reads the section `elias:code` of a component; none if it is not valid.
    #[must_use]
    pub fn read(section: &[u8]) -> Option<Self> {
        let Code { modules, source } = Code::parse(section)?;
        // It cannot fail but for want of memory.
        let packed = zstd::bulk::compress(source.as_bytes(), ZSTD_LEVEL).ok()?;
        let name = swap::name_of(section);
        Some(Self(Arc::new(PackedCode { name, modules: modules.to_owned(), packed, source_bytes: source.len() })))
    }

    /// Its name: a SHA-256 in hexadecimal.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The source of its module.
    ///
    /// # Errors
    /// `internal`, if it cannot be decompressed.
    pub fn source(&self) -> Result<String, Error> {
        let PackedCode { packed, source_bytes, .. } = &*self.0;
        let bytes = zstd::bulk::decompress(packed, *source_bytes).map_err(|error| error.to_string());
        bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string())).map_err(|error| {
            Error::new(ErrorCode::Internal, format!("the code of a version cannot be decompressed: {error}"))
        })
    }

    fn modules(&self) -> impl Iterator<Item = &str> {
        self.0.modules.split(' ').filter(|module| !module.is_empty())
    }

    /// The name of its module in stack traces.
    pub(crate) fn module(&self) -> String {
        swap::module_name(self.name())
    }
}

/// A version, as far as it matters to workers that are swapped.
pub(crate) struct SwapSide<'a> {
    pub(crate) manifest: Option<&'a Manifest>,
    pub(crate) code: Option<&'a WorkerCode>,
}

/// Whether heaps of the version `image` can have the code of `next`; gives that code.
///
/// # Errors
/// `heap-mismatch`, with what the versions differ in.
pub(crate) fn check(image: &SwapSide<'_>, next: &SwapSide<'_>) -> Result<WorkerCode, Error> {
    let refuse = |why: String| Err(Error::new(ErrorCode::HeapMismatch, why));
    let (Some(own), Some(other)) = (image.manifest, next.manifest) else {
        return refuse("a version was not made by elias-build".to_owned());
    };
    if own.engine != other.engine {
        return refuse("the new version has another engine".to_owned());
    }
    let Some(code) = next.code else {
        return refuse("the new version was built without its code: it is minified, or too large".to_owned());
    };
    let Some(before) = image.code else {
        return refuse("the heap is of a version that was built without its code: it is minified, or older".to_owned());
    };
    if own.eval != other.eval {
        return refuse("the setting `eval` of [build] differs".to_owned());
    }
    // A component says what it likes of either: to look through one list for each of the other could take hours.
    let imported: HashSet<&String> = own.imports.iter().collect();
    if let Some(import) = other.imports.iter().find(|import| !imported.contains(import)) {
        return refuse(format!("the new version imports {import}, and the version of the heap does not"));
    }
    let had: HashSet<&str> = before.modules().collect();
    if let Some(module) = code.modules().find(|module| !had.contains(module)) {
        let name = module.split('#').next().unwrap_or(module);
        return refuse(format!("the new version uses {name}, and the version of the heap does not, or another one"));
    }
    Ok(code.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_contract::manifest::FORMAT;

    fn manifest(imports: &[&str]) -> Manifest {
        Manifest {
            format: FORMAT,
            name: "app".to_owned(),
            version: "1.0.0".to_owned(),
            handlers: Vec::new(),
            workers: vec!["Cart".to_owned()],
            imports: imports.iter().map(|&import| import.to_owned()).collect(),
            schemas: Default::default(),
            stage: None,
            eval: false,
            engine: "0".repeat(64),
            source: "0".repeat(64),
            outside: Vec::new(),
            needed_by: std::collections::BTreeMap::new(),
            builder: "elias-build".to_owned(),
        }
    }

    fn code(modules: &str) -> WorkerCode {
        WorkerCode::read(&Code { modules, source: "export {};" }.to_section()).expect("it is valid")
    }

    #[test]
    fn a_heap_has_the_code_of_versions_that_need_no_more_than_its_own() {
        let (first, next) = (manifest(&["a", "b"]), manifest(&["b"]));
        let (had, needs) = (code("x y"), code("y"));
        let found = check(
            &SwapSide { manifest: Some(&first), code: Some(&had) },
            &SwapSide { manifest: Some(&next), code: Some(&needs) },
        );
        let found = found.expect("it fits");
        assert_eq!((found.name(), found.source().expect("it is there").as_str()), (needs.name(), "export {};"));
        assert!(found.module().starts_with("app-") && found.module().ends_with(".js"), "{}", found.module());
    }

    #[test]
    fn what_the_version_of_the_heap_does_not_have_is_named() {
        let (first, had) = (manifest(&["b"]), code("y"));
        let image = SwapSide { manifest: Some(&first), code: Some(&had) };
        let mut engine = manifest(&[]);
        engine.engine = "1".repeat(64);
        let mut eval = manifest(&[]);
        eval.eval = true;
        let (imports, plain, more) = (manifest(&["db"]), manifest(&[]), code("y elias:web/node/path.js"));
        for (next, why) in [
            (SwapSide { manifest: None, code: None }, "elias-build"),
            (SwapSide { manifest: Some(&engine), code: Some(&had) }, "engine"),
            (SwapSide { manifest: Some(&plain), code: None }, "minified"),
            (SwapSide { manifest: Some(&eval), code: Some(&had) }, "eval"),
            (SwapSide { manifest: Some(&imports), code: Some(&had) }, "imports db"),
            (SwapSide { manifest: Some(&plain), code: Some(&more) }, "elias:web/node/path.js"),
        ] {
            let error = check(&image, &next).expect_err(why);
            assert_eq!(error.code(), ErrorCode::HeapMismatch);
            assert!(error.to_string().contains(why), "{error}: {why}");
        }
        let without = SwapSide { manifest: Some(&first), code: None };
        let error = check(&without, &image).expect_err("the heap's version has no code");
        assert!(error.to_string().contains("minified, or older"), "{error}");
    }
}
