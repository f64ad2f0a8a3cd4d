//! The child process that compiles. [`HostBuilder::compiler`](crate::HostBuilder::compiler) names its program.

use super::Kind;
use crate::engine::wasmtime_config;
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use std::io::{Read, Write};
use std::process::ExitCode;
use wasmtime::Engine;

/// The first argument of the program that compiles. What follows it is for [`main`].
pub const ARGUMENT: &str = "compile-worker";

/// The first byte of the output: compiled code follows.
pub(super) const COMPILED: u8 = 0;
/// The first byte of the output: why it is not a valid component follows.
pub(super) const INVALID: u8 = 1;

/// Address space beyond the memory that may be used: this program's own code, and what is reserved and never touched.
const ADDRESS_SPACE_MARGIN_BYTES: u64 = 4 << 30;

/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// Compiles what standard input has, and writes the code to standard output. A program that embeds the host and wants
/// to be its own compiler calls it first thing in its `main`, if its first argument is [`ARGUMENT`], with the
/// arguments after that one.
///
/// The process limits itself before it reads a byte: CPU time, memory, no core file, the lowest priority; and it ends
/// with its parent.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let Some((kind, engine)) = prepare(arguments) else { return ExitCode::from(2) };
    let mut bytes = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut bytes).is_err() {
        return ExitCode::from(2);
    }
    let (first, mut rest) = match kind.precompile(&engine, &bytes) {
        Ok(code) => (COMPILED, code),
        Err(error) => (INVALID, format!("{error:#}").into_bytes()),
    };
    if first == INVALID {
        rest.truncate(MESSAGE_BYTES_MAX);
    }
    let mut output = std::io::stdout().lock();
    let written = output.write_all(&[first]).and_then(|()| output.write_all(&rest)).and_then(|()| output.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

/// The code to compile and the engine, once the process is limited; nothing if it is called wrongly or cannot
/// be limited.
fn prepare(arguments: impl IntoIterator<Item = String>) -> Option<(Kind, Engine)> {
    let mut arguments = arguments.into_iter();
    let kind = Kind::of(&arguments.next()?)?;
    let cpu_seconds: u64 = arguments.next()?.parse().ok()?;
    let memory_bytes: u64 = arguments.next()?.parse().ok()?;
    let address_space = memory_bytes.saturating_add(ADDRESS_SPACE_MARGIN_BYTES);
    limit_process(cpu_seconds, memory_bytes, Some(address_space)).ok()?;
    // One thread: of two, each would have the whole CPU time, and a tenant two cores.
    let engine = Engine::new(wasmtime_config(&kind.allocation()).parallel_compilation(false)).ok()?;
    Some((kind, engine))
}

/// Limits this process for good, for a child that works on what strangers wrote: seconds of CPU time of all its threads
/// together, bytes of memory, and bytes of address space if they are given. It writes no core file, has the lowest
/// priority, and ends with its parent.
///
/// Memory that is only reserved, as an engine reserves it for a guest, counts as address space alone.
///
/// # Errors
/// If the system does not let it.
pub fn limit_process(cpu_seconds: u64, memory_bytes: u64, address_space_bytes: Option<u64>) -> std::io::Result<()> {
    let most = |current: u64, maximum: u64| Rlimit { current: Some(current), maximum: Some(maximum) };
    // No core file of a compiler that is ended.
    setrlimit(Resource::Core, most(0, 0))?;
    setrlimit(Resource::Cpu, most(cpu_seconds, cpu_seconds.saturating_add(1)))?;
    setrlimit(Resource::Data, most(memory_bytes, memory_bytes))?;
    if let Some(bytes) = address_space_bytes {
        setrlimit(Resource::As, most(bytes, bytes))?;
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let _ = nice(19); // a system that does not let it be nicer lets it be as it is
    Ok(())
}
