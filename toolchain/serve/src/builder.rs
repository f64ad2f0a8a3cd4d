//! Builds sources by `elias-build`, as a child of this process.

use elias_build::BuildOptions;
use elias_build::child::{ARGUMENT, Problem, Response, VERSION};
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
    child: Child,
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
        let mut request = serde_json::to_vec(options).map_err(|error| {
            Failure::new(CliErrorCode::Io, format_args!("elias-build cannot be asked for this build: {error}"))
        })?;
        request.push(b'\n');
        let mut child = self.child.lock().await;
        // Not in its place during the build: one that is given up takes its process with it.
        let mut process = match child.take().and_then(BuildProcess::if_alive) {
            Some(process) => process,
            None => self.start()?,
        };
        let built = process.build(&request).await.map_err(|error| {
            Failure::new(CliErrorCode::Io, format_args!("elias-build has ended: {error}")).help("try again")
        })?;
        *child = Some(process);
        built.map_err(|Problem { code, message, report, plain, .. }| {
            Failure::new(code, message).report_as(report, plain)
        })
    }

    fn start(&self) -> Result<BuildProcess, Failure> {
        let mut command = Command::from(Program::Build.command()?);
        command.arg(ARGUMENT).arg(VERSION).args(&self.cache);
        BuildProcess::start(command)
            .map_err(|error| Failure::new(CliErrorCode::Io, format_args!("elias-build cannot be started: {error}")))
    }
}

impl BuildProcess {
    fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self { input, output: BufReader::new(output), child })
    }

    /// None if it has ended since the last build: killed, or for want of memory.
    fn if_alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// Has it build what a line of JSON asks for.
    async fn build(&mut self, request: &[u8]) -> io::Result<Result<BuiltComponent, Problem>> {
        self.input.write_all(request).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_that_has_ended_is_not_asked_again() {
        let process = BuildProcess::start(Command::new("cat")).expect("every system has it");
        let mut process = process.if_alive().expect("it reads on");
        process.child.kill().await.expect("it is ours");
        assert!(process.if_alive().is_none());
        // One that ends during a build is an error, and no endless wait.
        let mut process = BuildProcess::start(Command::new("true")).expect("every system has it");
        assert!(process.build(b"{}\n").await.is_err());
    }
}
