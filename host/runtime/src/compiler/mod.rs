//! Compiles WebAssembly to machine code: in a process of its own that can be killed, or in this one.
//!
//! A component's author decides how long its compilation takes: a function of one megabyte compiles for most of a
//! minute, and a thread that compiles cannot be stopped. So a host that takes components of strangers has a program
//! compile them ([`HostBuilder::compiler`](crate::HostBuilder::compiler)): a child with limits on CPU time and memory,
//! of the lowest priority, one thread, no environment and no files, that ends with the future that waits for it. The
//! size of functions and of all code is looked at before, in both ways.

mod child;
mod size;

pub use child::{ARGUMENT, limit_process, main};
pub(crate) use size::check;

use crate::engine::Allocation;
use crate::error::Error;
use elias_contract::ErrorCode;
use parking_lot::{Mutex, MutexGuard};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use wasmtime::Engine;

/// The limits of compiling one component, or one engine, in a process of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileLimits {
    /// Seconds of CPU time. Exceeded: `compile-limit`.
    pub cpu_seconds: u64,
    /// Bytes of memory that the process may have. Exceeded: `compile-limit`.
    pub memory_bytes: u64,
    /// Bytes of compiled code. Exceeded: `compile-limit`.
    pub output_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { cpu_seconds: 60, memory_bytes: 1 << 30, output_bytes: 256 << 20 }
    }
}

/// The input of the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An engine of `elias-build`: a core module.
    Engine,
    /// A component of `elias-build` without engine and image.
    Application,
    /// A component of another toolchain.
    Component,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Application => "application",
            Self::Component => "component",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Engine, Self::Application, Self::Component].into_iter().find(|kind| kind.as_str() == name)
    }

    /// How what is compiled will get its memory.
    fn allocation(self) -> Allocation {
        match self {
            Self::Engine | Self::Application => Allocation::OnDemand,
            Self::Component => Allocation::CopyOnWrite,
        }
    }

    fn precompile(self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Engine => engine.precompile_module(bytes),
            Self::Application | Self::Component => engine.precompile_component(bytes),
        }
    }
}

/// Turns WebAssembly into code for this machine.
#[derive(Debug)]
pub(crate) struct Compiler {
    /// The program; none: this process compiles.
    program: Option<PathBuf>,
    limits: CompileLimits,
}

impl Compiler {
    pub(crate) fn new(program: Option<PathBuf>, limits: CompileLimits) -> Self {
        Self { program, limits }
    }

    /// Compiles code of strangers, into the form that wasmtime reads back. Blocks until the code is compiled or `job`
    /// is abandoned.
    ///
    /// # Errors
    /// `bad-component`, `compile-limit`, `cancelled`, `internal`.
    pub(crate) fn compile(&self, engine: &Engine, kind: Kind, bytes: &[u8], job: &Job) -> Result<Vec<u8>, Error> {
        match &self.program {
            None => kind.precompile(engine, bytes).map_err(|error| bad_component(&format!("{error:#}"))),
            Some(program) => self.run(Command::new(program), kind, bytes, job),
        }
    }

    fn run(&self, mut command: Command, kind: Kind, bytes: &[u8], job: &Job) -> Result<Vec<u8>, Error> {
        let internal = |what: &str| Error::new(ErrorCode::Internal, format!("the compiler: {what}"));
        command
            .arg(ARGUMENT)
            .args([kind.as_str(), &self.limits.cpu_seconds.to_string(), &self.limits.memory_bytes.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Where `make coverage` has the counters of lines written: without the variable, to the folder above.
        #[cfg(coverage)]
        command.envs(std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE"));
        let mut child = command.spawn().map_err(|error| internal(&format!("it cannot be started: {error}")))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(internal("it has no pipes"));
        };
        job.watch(child);
        // It reads all before it writes anything. Where it ends early, its status says why.
        let _ = input.write_all(bytes);
        drop(input);
        let mut code = Vec::new();
        let read = output.take(self.limits.output_bytes.saturating_add(2)).read_to_end(&mut code);
        let too_large = code.len() as u64 > self.limits.output_bytes.saturating_add(1);
        let (status, abandoned) = job.finish(too_large || read.is_err());
        if abandoned {
            return Err(Error::new(ErrorCode::Cancelled, "compiling was given up"));
        }
        if too_large {
            return Err(over(&format!("its compiled code has more than {} bytes", self.limits.output_bytes)));
        }
        match status.map_err(|error| internal(&error.to_string()))? {
            status if status.success() && code.first() == Some(&child::COMPILED) => {
                code.remove(0);
                Ok(code)
            }
            status if status.success() && code.first() == Some(&child::INVALID) => {
                Err(bad_component(&String::from_utf8_lossy(&code[1..])))
            }
            status => Err(self.died(status)),
        }
    }

    /// The reason why a compiler ended without a result.
    fn died(&self, status: ExitStatus) -> Error {
        const SIGABRT: i32 = 6;
        const SIGKILL: i32 = 9;
        const SIGSEGV: i32 = 11;
        const SIGXCPU: i32 = 24;
        let CompileLimits { cpu_seconds, memory_bytes, .. } = self.limits;
        match status.signal() {
            Some(SIGXCPU) => over(&format!("it took {cpu_seconds} s of CPU time and was not done")),
            Some(SIGABRT) => {
                over(&format!("it took more than {memory_bytes} bytes of memory, or is nested too deeply"))
            }
            Some(SIGSEGV) => over("it is nested too deeply"),
            Some(SIGKILL) => over("the system ended the compiler"),
            _ => Error::new(ErrorCode::Internal, format!("the compiler: it failed, {status}")),
        }
    }
}

fn bad_component(why: &str) -> Error {
    Error::new(ErrorCode::BadComponent, format!("the component is not valid: {why}"))
}

fn over(what: &str) -> Error {
    let message = format!("compiling it was ended: {what}; make the component, or its largest function, smaller");
    Error::new(ErrorCode::CompileLimit, message)
}

/// A compilation that can be given up from another thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    state: Arc<Mutex<JobState>>,
}

#[derive(Debug, Default)]
struct JobState {
    child: Option<Child>,
    abandoned: bool,
}

impl Job {
    fn state(&self) -> MutexGuard<'_, JobState> {
        self.state.lock() // it is whole after every operation
    }

    /// The guard that gives the job up when it is dropped: the compiler is killed, and the thread that waits for it
    /// goes on.
    pub(crate) fn abandon_on_drop(&self) -> AbandonOnDrop {
        AbandonOnDrop(self.clone())
    }

    fn watch(&self, mut child: Child) {
        let mut state = self.state();
        if state.abandoned {
            let _ = child.kill(); // it may have ended
        }
        state.child = Some(child);
    }

    /// Waits for the compiler, which has closed its output or is killed here; and whether the job was abandoned.
    fn finish(&self, kill: bool) -> (std::io::Result<ExitStatus>, bool) {
        let mut state = self.state();
        let Some(mut child) = state.child.take() else {
            return (Err(std::io::ErrorKind::NotFound.into()), state.abandoned);
        };
        if kill {
            let _ = child.kill();
        }
        (child.wait(), state.abandoned)
    }
}

/// Abandons a [`Job`] when it is dropped.
pub(crate) struct AbandonOnDrop(Job);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.abandoned = true;
        if let Some(child) = &mut state.child {
            let _ = child.kill(); // it may have ended
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A compiler that is a shell script: what is tested is how its end is read.
    fn run(script: &str, job: &Job) -> Result<Vec<u8>, Error> {
        let compiler = Compiler::new(None, CompileLimits { output_bytes: 100, ..CompileLimits::default() });
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        compiler.run(command, Kind::Component, b"bytes", job)
    }

    #[test]
    fn the_compilers_end_says_what_became_of_it() {
        let code = |script: &str| run(script, &Job::default()).map_err(|error| error.code());
        assert_eq!(code("cat >/dev/null; printf '\\000code'"), Ok(b"code".to_vec()));
        assert_eq!(code("cat >/dev/null; printf '\\001no component'"), Err(ErrorCode::BadComponent));
        for (script, wanted) in [
            ("kill -XCPU $$", ErrorCode::CompileLimit),
            ("kill -ABRT $$", ErrorCode::CompileLimit),
            ("cat >/dev/null; yes | head -c 100000", ErrorCode::CompileLimit),
            ("exit 3", ErrorCode::Internal),
            ("true", ErrorCode::Internal),
        ] {
            assert_eq!(code(script), Err(wanted), "{script}");
        }
    }

    #[test]
    fn a_compilation_that_is_given_up_ends_at_once() {
        let job = Job::default();
        let abandon = job.abandon_on_drop();
        let folder = tempfile::tempdir().expect("a folder");
        let begun = folder.path().join("begun");
        let script = format!("touch '{}'; exec sleep 1000", begun.display());
        let compiling = std::thread::spawn(move || run(&script, &job).map_err(|error| error.code()));
        let started = Instant::now();
        while !begun.exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "the compiler does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(abandon);
        assert_eq!(compiling.join().expect("it ends"), Err(ErrorCode::Cancelled));

        let job = Job::default();
        drop(job.abandon_on_drop());
        let code = run("exec sleep 1000", &job).map_err(|error| error.code());
        assert_eq!(code, Err(ErrorCode::Cancelled), "also if it was given up before it began");
    }
}
