//! Builds sources by `elias-build`, as a child of this process.

use elias_build::BuildOptions;
use elias_build::child::{ARGUMENT, Problem, Response};
use elias_command_line::{CliErrorCode, Failure, Program};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// A component that was built.
pub(crate) struct BuiltComponent {
    pub(crate) wasm: Vec<u8>,
    /// The files whose change makes it stale.
    pub(crate) watch: Vec<PathBuf>,
    pub(crate) warnings: Vec<Problem>,
}

/// Builds components, one after the other. The child is started for the first, and ends with this.
pub(crate) struct Builder {
    /// Where it keeps compiled code.
    cache: Option<PathBuf>,
    child: Mutex<Option<BuildProcess>>,
}

/// The child between two builds.
struct BuildProcess {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Ended when it is dropped.
    _child: Child,
}

impl Builder {
    pub(crate) fn new(cache: Option<PathBuf>) -> Self {
        Self { cache, child: Mutex::default() }
    }

    /// Builds a component.
    ///
    /// # Errors
    /// Whatever is wrong with the source, as `elias-build` reports it; `missing-program`; `io` if the child ended.
    pub(crate) async fn build(&self, options: &BuildOptions) -> Result<BuiltComponent, Failure> {
        let mut child = self.child.lock().await;
        // Not in its place during the build: one that is given up takes its process with it.
        let mut process = match child.take() {
            Some(process) => process,
            None => self.start()?,
        };
        let built = process.build(options).await.map_err(|error| {
            Failure::new(CliErrorCode::Io, format_args!("elias-build has ended: {error}")).help("try again")
        })?;
        *child = Some(process);
        built.map_err(|Problem { code, message, report, plain, .. }| {
            Failure::new(code, message).report_as(report, plain)
        })
    }

    fn start(&self) -> Result<BuildProcess, Failure> {
        let mut command = Command::from(Program::Build.command()?);
        command.arg(ARGUMENT).args(&self.cache).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let failed =
            |error: io::Error| Failure::new(CliErrorCode::Io, format_args!("elias-build cannot be started: {error}"));
        let mut child = command.spawn().map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        Ok(BuildProcess { input, output: BufReader::new(output), _child: child })
    }
}

impl BuildProcess {
    async fn build(&mut self, options: &BuildOptions) -> io::Result<Result<BuiltComponent, Problem>> {
        let mut request = serde_json::to_vec(options)?;
        request.push(b'\n');
        self.input.write_all(&request).await?;
        let mut response = String::new();
        if self.output.read_line(&mut response).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match serde_json::from_str(&response)? {
            Response::Failed(problem) => Ok(Err(problem)),
            Response::Built { wasm_bytes, watch, warnings } => {
                let mut wasm = vec![0; wasm_bytes];
                self.output.read_exact(&mut wasm).await?;
                Ok(Ok(BuiltComponent { wasm, watch, warnings }))
            }
        }
    }
}
