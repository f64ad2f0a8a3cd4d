//! Builds for another program, as its child: `elias-serve` links no bundler, and the engine stays open from one build
//! to the next.
//!
//! A request is [`BuildOptions`] as a line of JSON on standard input, whose end ends the child. A response on standard
//! output is a [`Response`] as a line of JSON and, if it is [`Response::Built`], the component's bytes.

use crate::command::open_cache;
use crate::{BuildError, BuildOptions, BuildWarning, Builder, BuiltComponent};
use elias_command_line::{CliErrorCode, Failure};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The first argument of the child. The second is the parent's [`VERSION`]; the third, if there is one, is the folder
/// for compiled code.
pub const ARGUMENT: &str = "build-for-parent";

/// The release, which parent and child have in common: requests and responses differ from one to the next.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The result of a build.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// The component was built.
    Built {
        /// Bytes of the component, which follow.
        wasm_bytes: usize,
        /// The files whose change makes it stale.
        watch: Vec<PathBuf>,
        /// Warnings for the author.
        warnings: Vec<Problem>,
    },
    /// It was not.
    Failed(Problem),
}

/// An error or a warning, as it is shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code.
    pub code: String,
    /// The message alone.
    pub message: String,
    /// The place in the source as `file:line:column`; empty if there is none.
    pub place: String,
    /// The whole report: for a terminal, if standard error is one.
    pub report: String,
    /// The same without colours.
    pub plain: String,
}

impl From<&BuildError> for Problem {
    fn from(error: &BuildError) -> Self {
        let (report, plain) = (error.render(io::stderr().is_terminal()), error.render(false));
        let place = error.details().location.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { code: error.code().to_owned(), message: error.to_string(), place, report, plain }
    }
}

impl From<&BuildWarning> for Problem {
    fn from(warning: &BuildWarning) -> Self {
        let (report, plain) = (warning.render(io::stderr().is_terminal()), warning.render(false));
        let details = warning.details();
        let place = details.location.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { code: warning.code().to_owned(), message: details.message.clone(), place, report, plain }
    }
}

/// Builds what the parent, of this version, asks for until it has closed standard input.
#[must_use]
pub fn main(parent: Option<&OsStr>, cache: Option<&Path>) -> ExitCode {
    let (requests, responses) = (io::stdin().lock(), io::stdout().lock());
    let served = if parent == Some(OsStr::new(VERSION)) {
        serve(cache, requests, responses)
    } else {
        refuse(parent.unwrap_or_default(), requests, responses)
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error[io]: a build for another program: {error}"); // the parent is gone
            ExitCode::FAILURE
        }
    }
}

/// Refuses all requests of a parent of another version.
fn refuse(parent: &OsStr, requests: impl BufRead, mut responses: impl Write) -> io::Result<()> {
    let message = format!(
        "elias-build is of version {VERSION}, and the program that has it build of version {}",
        parent.to_string_lossy()
    );
    let failure = Failure::new(CliErrorCode::MissingProgram, &message)
        .help("install elias, elias-build and elias-serve of one version into one folder, and start the program again");
    let plain = failure.to_string();
    let code = CliErrorCode::MissingProgram.as_str().to_owned();
    let refused = Response::Failed(Problem { code, message, place: String::new(), report: plain.clone(), plain });
    for request in requests.lines() {
        request?;
        respond(&mut responses, &refused, &[])?;
    }
    Ok(())
}

fn respond(responses: &mut impl Write, response: &Response, wasm: &[u8]) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    responses.write_all(&line)?;
    responses.write_all(wasm)?;
    responses.flush()
}

fn serve(cache: Option<&Path>, requests: impl BufRead, mut responses: impl Write) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut open = None;
    for request in requests.lines() {
        let options: BuildOptions = serde_json::from_str(&request?)?;
        let built = match builder(&mut open, cache) {
            Ok(builder) => runtime.block_on(builder.build(&options)),
            Err(error) => Err(error),
        };
        let (response, wasm) = match built {
            Ok(BuiltComponent { wasm, warnings, watch, .. }) => {
                let warnings = warnings.iter().map(Problem::from).collect();
                (Response::Built { wasm_bytes: wasm.len(), watch, warnings }, wasm)
            }
            Err(error) => (Response::Failed(Problem::from(&error)), Vec::new()),
        };
        respond(&mut responses, &response, &wasm)?;
    }
    Ok(())
}

/// The builder, which is opened for the first build. Where that fails the next one tries again.
fn builder<'a>(open: &'a mut Option<Builder>, cache: Option<&Path>) -> Result<&'a Builder, BuildError> {
    Ok(match open {
        Some(builder) => builder,
        None => {
            let cache = cache.map(open_cache).transpose()?;
            open.insert(Builder::new(cache.as_ref())?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_responded_to_in_its_turn() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("good.js"), "export default { call: () => 1 };").expect("writing");
        std::fs::write(folder.path().join("bad.js"), "export default {").expect("writing");
        let request = |entry: &str| {
            let mut line = serde_json::to_vec(&BuildOptions::new(entry, folder.path())).expect("JSON");
            line.push(b'\n');
            line
        };
        let requests = [request("good.js"), request("bad.js"), request("good.js")].concat();
        let cache = crate::command::cache_dir(None);
        let mut responses = Vec::new();
        serve(cache.as_deref(), requests.as_slice(), &mut responses).expect("it goes on to the end");
        let mut rest = responses.as_slice();
        for is_good in [true, false, true] {
            let mut line = String::new();
            rest.read_line(&mut line).expect("a line");
            match serde_json::from_str(&line).expect("a response") {
                Response::Built { wasm_bytes, watch, .. } => {
                    assert!(
                        is_good && rest.starts_with(b"\0asm") && watch.iter().any(|file| file.ends_with("good.js"))
                    );
                    rest = &rest[wasm_bytes..];
                }
                Response::Failed(problem) => {
                    assert!(!is_good && problem.code == "syntax-error" && problem.plain.contains("bad.js"));
                }
            }
        }
        assert!(rest.is_empty());
        assert!(serve(None, &b"no request\n"[..], Vec::new()).is_err());
    }

    #[test]
    fn a_parent_of_another_version_is_refused_and_told_so() {
        let mut responses = Vec::new();
        refuse(OsStr::new("0.0.1"), &b"{\"of\":\"another form\"}\n{}\n"[..], &mut responses).expect("it goes on");
        let lines: Vec<&str> = str::from_utf8(&responses).expect("text").lines().collect();
        assert_eq!(lines.len(), 2);
        for line in lines {
            let Ok(Response::Failed(problem)) = serde_json::from_str(line) else { panic!("{line}") };
            assert_eq!(problem.code, "missing-program");
            for version in ["0.0.1", VERSION] {
                assert!(problem.message.contains(version) && problem.plain.contains(version), "{problem:?}");
            }
        }
    }
}
