//! Builds one draft of a platform, as a child that limits itself before it looks at a file of the draft.
//!
//! The project is the child's current folder. A response on standard output is a [`DraftResponse`] as a line of JSON
//! and, if there is a component, its bytes. The child has no environment. It never makes a connection: there is no
//! client in this program, and JavaScript runs in an engine whose imports are traps. On Linux it is kept from
//! connections and from all files but the draft's by Landlock as well, where the kernel has that.

use crate::child::VERSION;
use crate::command::open_cache;
use crate::diagnostic::{BuildError, Details};
use crate::{BuildOptions, Builder, BuiltComponent};
use elias_host::compiler::limit_process;
use elias_project::Project;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The first argument of the child. What follows is the parent's [`VERSION`], the folder with the compiled engine, the
/// seconds of CPU time and the bytes of memory that it may have.
pub const ARGUMENT: &str = "build-draft";

/// The exit code of a child that was called wrongly, or that could not be limited.
pub const NOT_LIMITED: u8 = 3;

/// The result of a build.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DraftResponse {
    /// Bytes of the component, which follow; none if it was not built.
    pub wasm_bytes: Option<usize>,
    /// The errors and warnings, as [`BuildError::to_json`] has them.
    pub diagnostics: Vec<Value>,
}

/// Builds the draft in the current folder.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let Some((cache, project)) = prepare(arguments) else { return ExitCode::from(NOT_LIMITED) };
    // The engine is opened before files are out of reach. Nothing of the draft was read until then.
    let builder = open_cache(&cache).and_then(|cache| Builder::new(Some(&cache)));
    let built = match builder {
        Ok(_) if confine(&project).is_err() => return ExitCode::from(NOT_LIMITED),
        Ok(builder) => build(&builder, &project),
        Err(error) => Err(error),
    };
    let (response, wasm) = match built {
        Ok(BuiltComponent { wasm, warnings, .. }) => {
            let diagnostics = warnings.iter().map(crate::BuildWarning::to_json).collect();
            (DraftResponse { wasm_bytes: Some(wasm.len()), diagnostics }, wasm)
        }
        Err(error) => (DraftResponse { wasm_bytes: None, diagnostics: vec![error.to_json()] }, Vec::new()),
    };
    if respond(&response, &wasm).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folders of the cache and of the draft, once the process is limited; nothing if it is called wrongly or cannot be
/// limited.
fn prepare(arguments: impl IntoIterator<Item = String>) -> Option<(PathBuf, PathBuf)> {
    let mut arguments = arguments.into_iter();
    if arguments.next()? != VERSION {
        return None;
    }
    let cache = PathBuf::from(arguments.next()?);
    let cpu_seconds = arguments.next()?.parse().ok()?;
    let memory_bytes = arguments.next()?.parse().ok()?;
    // Address space is not limited: the engine reserves some of it for a memory that it may never have.
    limit_process(cpu_seconds, memory_bytes, None).ok()?;
    Some((cache, std::env::current_dir().ok()?))
}

/// Leaves this process the files of the draft, to read, and no connection.
#[cfg(target_os = "linux")]
fn confine(project: &Path) -> Result<(), landlock::RulesetError> {
    use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, path_beneath_rules};
    // The first version that knows connections. Of an older kernel's the rest holds.
    let abi = ABI::V4;
    Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules([project], AccessFs::from_read(abi)))?
        .restrict_self()?;
    Ok(())
}

/// Systems without Landlock rely on the bundler's own rule for files; see [`crate::bundle`].
#[cfg(not(target_os = "linux"))]
fn confine(_: &Path) -> Result<(), std::convert::Infallible> {
    Ok(())
}

fn build(builder: &Builder, root: &Path) -> Result<BuiltComponent, BuildError> {
    let project = Project::find(Some(root), None, None)?;
    if !project.build.roots.is_empty() || !project.build.capabilities.is_empty() {
        let details =
            Details::new("a draft is built of its own files: [build] must not have `roots` or `capabilities`");
        let help = "remove the keys from elias.toml, or build on your own machine, with: elias deploy";
        return Err(BuildError::Config(Box::new(details.help(help))));
    }
    let entry = project.entry(None)?;
    let (folder, file) = (root.canonicalize(), entry.canonicalize());
    if let (Ok(folder), Ok(file)) = (folder, file)
        && !file.starts_with(folder)
    {
        let details = Details::new("`entry` of [build] must be a file of the draft");
        return Err(BuildError::OutsideProject(Box::new(details)));
    }
    let options = BuildOptions::of_project(&project, entry)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.map_err(|error| BuildError::io("start", &error))?.block_on(builder.build(&options))
}

fn respond(response: &DraftResponse, wasm: &[u8]) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    output.write_all(&line)?;
    output.write_all(wasm)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(files: &[(&str, &str)]) -> Result<(), &'static str> {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().expect("it has one")).expect("a folder");
            std::fs::write(file, text).expect("writing");
        }
        let cache = crate::command::cache_dir(None).map(|dir| open_cache(&dir).expect("a cache"));
        let builder = Builder::new(cache.as_ref()).expect("the engine");
        build(&builder, folder.path()).map(drop).map_err(|error| error.code())
    }

    #[test]
    fn a_draft_is_built_of_its_own_files() {
        let good = ("src/index.ts", "export default { call: (): number => 1 };");
        assert_eq!(code(&[good]), Ok(()));
        assert_eq!(code(&[good, ("elias.toml", "[build]\nroots = [\"/etc\"]\n")]), Err("config"));
        assert_eq!(code(&[good, ("elias.toml", "[build]\ncapabilities = [\"../a.wit\"]\n")]), Err("config"));
        assert_eq!(
            code(&[good, ("elias.toml", "[build]\nentry = \"../../../../etc/hostname\"\n")]),
            Err("outside-project")
        );
        assert_eq!(code(&[]), Err("entry-not-found"));
    }

    #[test]
    fn a_parent_of_another_version_is_refused() {
        let arguments = ["0.0.1", "/tmp", "1", "1"].map(str::to_owned);
        assert!(prepare(arguments).is_none());
        assert!(prepare([VERSION.to_owned()]).is_none());
    }
}
