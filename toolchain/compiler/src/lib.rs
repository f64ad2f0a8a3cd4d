//! Compiles JavaScript and TypeScript into WebAssembly components that carry their own engine.
//!
//! A [`Builder`] goes from an entry file to the bytes of a component: bundle, evaluate the top level in the engine,
//! take the snapshot, put the component together. The command line is `elias-build`, in `main.rs`; `elias dev`,
//! `elias serve --watch` and `elias test` have it build as their [`child`].
//!
//! # Building from a program
//!
//! ```
//! use elias_build::{BuildOptions, Builder, command};
//! use elias_host::engine::CompiledCache;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let project = folder.path();
//! # std::fs::write(project.join("index.js"), "export default { fetch: () => new Response('hello') };")?;
//! // The engine is compiled once for all builders that share a cache, which takes seconds.
//! let cache = command::cache_dir(None).map(|folder| CompiledCache::open(&folder)).transpose()?;
//! let builder = Builder::new(cache.as_ref())?;
//!
//! // `BuildOptions::of_project` takes what the `[build]` table of an elias.toml says; this is a build without one.
//! let options = BuildOptions::new("index.js", project);
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! let built = runtime.block_on(builder.build(&options))?;
//! assert_eq!(built.manifest.handlers, ["fetch"]);
//! std::fs::write(project.join("app.wasm"), &built.wasm)?;
//!
//! // Errors in a source are shown in its own lines, for people and for programs.
//! std::fs::write(project.join("index.js"), "export default {")?;
//! let error = runtime.block_on(builder.build(&options)).expect_err("it does not end");
//! assert_eq!(error.code(), "syntax-error");
//! assert_eq!(error.to_json()["file"], "index.js");
//! # Ok(())
//! # }
//! ```

pub mod api_usage;
pub mod bundle;
pub mod capabilities;
pub mod child;
pub mod command;
mod componentize;
pub mod diagnostic;
pub mod draft;
pub mod engine;
mod evaluate;
mod explain;
mod first_use;
mod image;
pub mod inspect;
mod locales;
mod options;
mod package;
mod paths;
mod sbom;
mod schemas;
mod web;
mod worker_code;
mod workers;

pub use diagnostic::{BuildError, BuildWarning};

use capabilities::Capabilities;
use diagnostic::Details;
use elias_contract::layout::{self, BASE_SECTION, append_custom_section};
use elias_contract::manifest::{FORMAT, MANIFEST_SECTION, Manifest, SBOM_SECTION, SOURCE_MAP_SECTION, Stage};
use elias_contract::swap::{CODE_SECTION, Code};
use elias_host::engine::CompiledCache;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The most bytes that a component may have.
const COMPONENT_BYTES_MAX: usize = 256 << 20;

/// The input and the options of a build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuildOptions {
    /// The entry module, relative to `project` or absolute.
    pub entry: PathBuf,
    /// The project's root: paths in errors and in the source map are relative to it.
    pub project: PathBuf,
    /// Whether to leave out of the component what all have in common, the engine and the base of its memory, and to
    /// name it by digest.
    pub thin: bool,
    /// Whether to shorten names and drop white space in the bundle.
    pub minify: bool,
    /// Whether eval, `new Function` and their kin work; else they throw an EvalError.
    pub eval: bool,
    /// Which of the source's implementations is wanted, from 1; none is the first that it has.
    pub stage: Option<u32>,
    /// Folders outside of the project whose files may be bundled, relative to `project` or absolute.
    pub roots: Vec<PathBuf>,
    /// WIT packages of capabilities that an embedder adds: files, or folders of files, relative to `project` or
    /// absolute.
    pub capabilities: Vec<PathBuf>,
    /// The variables that `process.env` has from the build, by name. They are in the component for all to read.
    pub env: BTreeMap<String, String>,
    /// Whether the top level may draw random values. They are then other ones in each build, and the same in each of
    /// its instances.
    pub random_per_build: bool,
    /// BCP 47 tags of the locales beside English that Intl has in the component.
    pub locales: Vec<String>,
    /// The time that Date shows while the top level runs, in seconds since 1970.
    pub source_date: u64,
}

impl BuildOptions {
    /// The usual: bundled with its engine, not minified, without eval, the date of `SOURCE_DATE_EPOCH` or else 0.
    ///
    /// See <https://reproducible-builds.org/specs/source-date-epoch/>.
    #[must_use]
    pub fn new(entry: impl Into<PathBuf>, project: impl Into<PathBuf>) -> Self {
        let date = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|date| date.parse().ok());
        Self {
            entry: entry.into(),
            project: project.into(),
            thin: false,
            minify: false,
            eval: false,
            stage: None,
            roots: Vec::new(),
            capabilities: Vec::new(),
            env: BTreeMap::new(),
            random_per_build: false,
            locales: Vec::new(),
            source_date: date.unwrap_or(0),
        }
    }
}

/// A component, and what was noticed on the way to it.
#[derive(Debug)]
pub struct BuiltComponent {
    /// The component.
    pub wasm: Vec<u8>,
    /// Its manifest.
    pub manifest: Manifest,
    /// Warnings for the author, although the build went through.
    pub warnings: Vec<BuildWarning>,
    /// The log lines of the top level: level (0 trace to 4 error) and text.
    pub logs: Vec<(u8, String)>,
    /// The files whose change makes the component stale.
    pub watch: Vec<PathBuf>,
}

/// Builds components, one after the other. Making one opens the engine, which the first time on a machine compiles it
/// and takes seconds; after that, milliseconds.
pub struct Builder {
    evaluator: evaluate::Evaluator,
}

impl Builder {
    /// Opens the engine, whose compiled code is kept in `cache`.
    ///
    /// # Errors
    /// [`BuildError::Engine`] if it cannot be compiled or started.
    pub fn new(cache: Option<&CompiledCache>) -> Result<Self, BuildError> {
        let evaluator =
            evaluate::Evaluator::open(cache, web::changed_base_modules().as_deref()).map_err(engine_error)?;
        Ok(Self { evaluator })
    }

    /// Builds a component.
    ///
    /// The same sources and options give the same bytes on every machine. The name of the project's folder, but not
    /// where it is, counts among them: it names a component without a package.json, and the bundler names the default
    /// export of an `index.js` in the root after it.
    ///
    /// # Errors
    /// Whatever is wrong with the source, in its own lines; see [`BuildError`].
    pub async fn build(&self, options: &BuildOptions) -> Result<BuiltComponent, BuildError> {
        let package = package::read(&options.project, &options.entry)?;
        let capabilities = Arc::new(Capabilities::read(&options.capabilities, &options.project)?);
        let bundle = bundle::bundle(&bundle::BundleOptions {
            entry: options.entry.clone(),
            cwd: options.project.clone(),
            minify: options.minify,
            roots: options.roots.clone(),
            capabilities: Arc::clone(&capabilities),
            env: options.env.clone(),
        })
        .await?;
        let (sbom, unlocked) = sbom::make(&package, &bundle.bundled)?;
        let uses = api_usage::scan(&bundle.code, options.eval);
        let needs = web::Needs::of(&uses);
        let imported = capabilities.imported(&uses);
        if !bundle.has_default_export && !needs.has_forms() && !needs.has_workers() {
            return Err(explain::no_default_export(options, &bundle));
        }
        let locales = locales::module(&options.locales)?;
        let mut modules = needs.modules();
        modules.extend(locales.as_ref().map(|(name, source)| (name.clone(), source.as_str())));
        let module_names = worker_code::module_names(&modules);
        let evaluated = self
            .evaluator
            .evaluate(&evaluate::Application {
                source: &bundle.code,
                modules,
                source_date: options.source_date,
                imports: &needs.imports,
                eval: options.eval,
                stage: options.stage,
                random: options.random_per_build,
                name: &package.name,
                capabilities: &imported.describe(),
            })
            .map_err(|failure| explain::failure(failure, options, &bundle))?;

        if let Some(name) = evaluated.report.uncalled.first() {
            return Err(explain::unknown_handler(name, options));
        }
        sbom::compare(&evaluated.report.dependencies, &sbom)?;
        let (schemas, inexpressible) = schemas::read(&evaluated.report.schemas)?;
        let mut imports = needs.interfaces(&evaluated.report.handlers);
        imports.extend(imported.interfaces());
        imports.sort_unstable();
        let needed_by = first_use::of(&bundle.code, &bundle.map, &imports, &imported);
        let handlers = evaluated.report.handlers.iter().map(String::as_str);
        let handlers = handlers.chain((!evaluated.report.workers.is_empty()).then_some(web::WORKER));
        let exports: Vec<String> = handlers.flat_map(web::exports_of).map(|&interface| interface.to_owned()).collect();
        let base = self.evaluator.base();
        // One that was made of changed web modules has no name.
        let differs = options.thin && !base.digest.is_empty();
        let data = if differs { evaluated.difference(base) } else { evaluated.occupied() };
        let pages = evaluated.pages();
        let parts = componentize::Parts { data, pages, imports: &imports, capabilities: &imported, exports: &exports };
        let mut wasm = componentize::componentize(&parts).map_err(engine_error)?;
        if options.thin {
            wasm = layout::thin_of_engine(&wasm, engine::ENGINE, &engine::DIGEST)
                .map_err(|error| engine_error(error.into()))?;
        }
        if differs {
            append_custom_section(&mut wasm, BASE_SECTION, base.digest.as_bytes());
        }
        let (mut sources, mut outside) = (bundle.sources.clone(), bundle.outside.clone());
        if !imported.functions().is_empty() {
            let read = capabilities.sources()?;
            outside.extend(read.iter().map(|(name, _)| name.clone()).filter(|name| name.starts_with("../")));
            sources.extend(read);
            outside.sort_unstable();
            sources.sort_unstable();
        }
        let manifest = Manifest {
            format: FORMAT,
            name: package.name,
            version: package.version,
            handlers: evaluated.report.handlers.clone(),
            workers: evaluated.report.workers.clone(),
            imports,
            schemas,
            stage: (evaluated.report.of > 1)
                .then_some(Stage { number: evaluated.report.stage, of: evaluated.report.of }),
            eval: options.eval,
            engine: engine::DIGEST.clone(),
            source: source_digest(&sources),
            outside,
            needed_by,
            builder: concat!("elias-build ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        append_custom_section(&mut wasm, MANIFEST_SECTION, &manifest.to_json());
        append_custom_section(&mut wasm, SBOM_SECTION, sbom.to_string().as_bytes());
        append_custom_section(&mut wasm, SOURCE_MAP_SECTION, bundle.map.as_bytes());
        // Names in minified code are others in each version.
        if !manifest.workers.is_empty() && !options.minify {
            let code = Code { modules: &module_names, source: &bundle.code };
            append_custom_section(&mut wasm, CODE_SECTION, &code.to_section());
        }
        if wasm.len() > COMPONENT_BYTES_MAX {
            let message = format!("the component has {} bytes; at most {COMPONENT_BYTES_MAX} are allowed", wasm.len());
            let help = "move large data out of the source, for example into a database or object store";
            return Err(BuildError::TooLarge(Box::new(Details::new(message).help(help))));
        }
        let mut warnings = explain::warnings(&evaluated.report.warnings, &bundle);
        if needs.has_workers() {
            warnings.extend(workers::warnings(&bundle));
        }
        warnings.extend(inexpressible);
        warnings.extend(bundle.warnings);
        warnings.extend(unlocked);
        let logs = evaluated.report.logs.into_iter().map(|line| (line.level, line.message)).collect();
        let watch =
            bundle.modules.into_iter().chain(package.file).chain(capabilities.files().iter().cloned()).collect();
        Ok(BuiltComponent { wasm, manifest, warnings, logs, watch })
    }
}

fn engine_error(error: anyhow::Error) -> BuildError {
    let help = "this is not the fault of your source; if it happens again, report it with the source that caused it";
    BuildError::Engine(Box::new(Details::new(format!("the engine failed: {error:#}")).help(help)))
}

/// SHA-256 over the names and digests of the sources.
fn source_digest(sources: &[(String, String)]) -> String {
    let all: String = sources.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    elias_contract::digest(all.as_bytes())
}
