//! The commands of `elias-build` and their arguments.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The commands that need the bundler or the engine's compiler: those of `elias-build`.
#[derive(Debug, Subcommand)]
pub enum BuildCommand {
    /// Build a component from JavaScript or TypeScript
    Build(Box<BuildArguments>),
    /// Show a component's manifest, sizes, digest and imports
    Inspect(InspectArguments),
    /// Write TypeScript declarations of embedder capabilities
    Types(TypesArguments),
    /// Compile the engine ahead of the first build
    Prepare(PrepareArguments),
}

/// The arguments of `build`.
#[derive(Debug, Args)]
pub struct BuildArguments {
    /// Entry module, JavaScript or TypeScript [default: `entry` of `[build]` in elias.toml, else src/index.ts or .js]
    pub entry: Option<PathBuf>,
    /// File to write the component to [default: the project's name with .wasm]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Root directory of the project [default: the nearest directory with a package.json, else that of the entry]
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Exclude the engine and the base memory image, which all components share; the host must provide both
    #[arg(long)]
    pub thin: bool,
    /// Number of the variant to build: 2 for `stage2` [default: the first one in the source]
    #[arg(long, value_name = "N")]
    pub stage: Option<u32>,
    /// Minify the code
    #[arg(long)]
    pub minify: bool,
    /// Allow eval and `new Function` [default: `eval` of `[build]` in elias.toml, else off]
    #[arg(long)]
    pub eval: bool,
    /// WIT package of an embedder capability, a file or a directory; repeatable
    #[arg(long, value_name = "FILE")]
    pub capability: Vec<PathBuf>,
    /// Locales for Intl in addition to English, such as de,pt-PT [default: `locales` of `[build]` in elias.toml]
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub locales: Vec<String>,
    /// Configuration file [default: elias.toml in the project's root, else in the current directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sign the component with the key in this file and write the signature beside it, as .sig; repeatable
    #[arg(long, value_name = "KEYFILE")]
    pub sign: Vec<PathBuf>,
    /// Directory for compiled code [default: $ELIAS_CACHE_DIR, else elias in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Print errors and warnings only
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,
    /// Print errors and the result as a JSON object
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `types`.
#[derive(Debug, Args)]
pub struct TypesArguments {
    /// WIT package, a file or a directory; repeatable [default: `capabilities` of `[build]` in elias.toml]
    #[arg(long, value_name = "FILE")]
    pub capability: Vec<PathBuf>,
    /// File to write the declarations to [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Root directory of the project [default: the nearest directory with an elias.toml or package.json]
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
}

/// The arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// File of the component
    pub component: PathBuf,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
    /// Print the software bill of materials, as CycloneDX JSON
    #[arg(long, conflicts_with = "json")]
    pub sbom: bool,
}

/// The arguments of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArguments {
    /// Directory for compiled code [default: $ELIAS_CACHE_DIR, else elias in the user's cache directory]
    #[arg(long)]
    pub cache_dir: Option<PathBuf>,
}
