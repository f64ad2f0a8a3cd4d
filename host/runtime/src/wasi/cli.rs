//! `wasi:clocks`, `wasi:random` and `wasi:cli`: the real time and randomness, and a program without arguments,
//! environment, input or terminal.

use super::{named, on};
use crate::instance::InstanceState;
use crate::pricing::{HostLinker, Payload, Price, Size, size};
use wasmtime::StoreContextMut;
use wasmtime_wasi::cli::WasiCliView as _;
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p2::bindings::cli::terminal_input::{HostTerminalInput, TerminalInput};
use wasmtime_wasi::p2::bindings::cli::terminal_output::{HostTerminalOutput, TerminalOutput};
use wasmtime_wasi::p2::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::random::WasiRandomView as _;

/// Bytes of randomness of one call. What wants more, asks again.
const RANDOM_BYTES_MAX: u64 = 64 << 10;

/// Units of fuel of a random byte.
const RANDOM_BYTE: u64 = 25;

/// Units of fuel of a timer.
const TIMER: u64 = 3_000;

/// Units of fuel of a stream that is made.
const STREAM: u64 = 3_000;

impl Payload for Datetime {}

pub(super) fn link(linker: &mut HostLinker) -> wasmtime::Result<()> {
    link_clocks(linker)?;
    link_random(linker)?;
    link_cli(linker)
}

fn link_clocks(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut wall = linker.interface(&named("wasi:clocks/wall-clock"))?;
    wall.func("now", Price::call(), on(|state, ()| wall_clock::Host::now(&mut state.clocks())))?;
    wall.func("resolution", Price::call(), on(|state, ()| wall_clock::Host::resolution(&mut state.clocks())))?;

    let mut monotonic = linker.interface(&named("wasi:clocks/monotonic-clock"))?;
    monotonic.func("now", Price::call(), on(|state, ()| monotonic_clock::Host::now(&mut state.clocks())))?;
    monotonic.func(
        "resolution",
        Price::call(),
        on(|state, ()| monotonic_clock::Host::resolution(&mut state.clocks())),
    )?;
    monotonic.func(
        "subscribe-instant",
        Price::of(TIMER),
        on(|state, (when,): (u64,)| monotonic_clock::Host::subscribe_instant(&mut state.clocks(), when)),
    )?;
    monotonic.func(
        "subscribe-duration",
        Price::of(TIMER),
        on(|state, (duration,): (u64,)| monotonic_clock::Host::subscribe_duration(&mut state.clocks(), duration)),
    )
}

fn link_random(linker: &mut HostLinker) -> wasmtime::Result<()> {
    fn bytes() -> Size<(u64,)> {
        size("bytes", |(len,): &(u64,)| *len).at_most(RANDOM_BYTES_MAX)
    }
    let mut interface = linker.interface(&named("wasi:random/random"))?;
    interface.func(
        "get-random-bytes",
        Price::call().per(RANDOM_BYTE, bytes()),
        on(|state, (len,)| random::Host::get_random_bytes(state.random(), len)),
    )?;
    interface.func("get-random-u64", Price::call(), on(|state, ()| random::Host::get_random_u64(state.random())))?;

    let mut interface = linker.interface(&named("wasi:random/insecure"))?;
    interface.func(
        "get-insecure-random-bytes",
        Price::call().per(RANDOM_BYTE, bytes()),
        on(|state, (len,)| insecure::Host::get_insecure_random_bytes(state.random(), len)),
    )?;
    interface.func(
        "get-insecure-random-u64",
        Price::call(),
        on(|state, ()| insecure::Host::get_insecure_random_u64(state.random())),
    )?;

    let mut interface = linker.interface(&named("wasi:random/insecure-seed"))?;
    interface.func("insecure-seed", Price::call(), on(|state, ()| insecure_seed::Host::insecure_seed(state.random())))
}

fn link_cli(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut interface = linker.interface(&named("wasi:cli/environment"))?;
    interface.func(
        "get-environment",
        Price::call(),
        on(|state, ()| environment::Host::get_environment(&mut state.cli())),
    )?;
    interface.func(
        "get-arguments",
        Price::call(),
        on(|state, ()| environment::Host::get_arguments(&mut state.cli())),
    )?;
    interface.func("initial-cwd", Price::call(), on(|state, ()| environment::Host::initial_cwd(&mut state.cli())))?;

    let mut interface = linker.interface(&named("wasi:cli/exit"))?;
    interface.func(
        "exit",
        Price::call(),
        |mut store: StoreContextMut<'_, InstanceState>, (status,): (Result<(), ()>,)| {
            exit::Host::exit(&mut store.data_mut().cli(), status)
        },
    )?;
    interface.func(
        "exit-with-code",
        Price::call(),
        |mut store: StoreContextMut<'_, InstanceState>, (code,): (u8,)| {
            exit::Host::exit_with_code(&mut store.data_mut().cli(), code)
        },
    )?;

    let mut interface = linker.interface(&named("wasi:cli/stdin"))?;
    interface.func("get-stdin", Price::of(STREAM), on(|state, ()| stdin::Host::get_stdin(&mut state.cli())))?;
    let mut interface = linker.interface(&named("wasi:cli/stdout"))?;
    interface.func("get-stdout", Price::of(STREAM), on(|state, ()| stdout::Host::get_stdout(&mut state.cli())))?;
    let mut interface = linker.interface(&named("wasi:cli/stderr"))?;
    interface.func("get-stderr", Price::of(STREAM), on(|state, ()| stderr::Host::get_stderr(&mut state.cli())))?;

    let mut interface = linker.interface(&named("wasi:cli/terminal-input"))?;
    interface.resource::<TerminalInput>("terminal-input", |state, terminal| {
        HostTerminalInput::drop(&mut state.cli(), terminal)
    })?;
    let mut interface = linker.interface(&named("wasi:cli/terminal-output"))?;
    interface.resource::<TerminalOutput>("terminal-output", |state, terminal| {
        HostTerminalOutput::drop(&mut state.cli(), terminal)
    })?;
    let mut interface = linker.interface(&named("wasi:cli/terminal-stdin"))?;
    interface.func(
        "get-terminal-stdin",
        Price::call(),
        on(|state, ()| terminal_stdin::Host::get_terminal_stdin(&mut state.cli())),
    )?;
    let mut interface = linker.interface(&named("wasi:cli/terminal-stdout"))?;
    interface.func(
        "get-terminal-stdout",
        Price::call(),
        on(|state, ()| terminal_stdout::Host::get_terminal_stdout(&mut state.cli())),
    )?;
    let mut interface = linker.interface(&named("wasi:cli/terminal-stderr"))?;
    interface.func(
        "get-terminal-stderr",
        Price::call(),
        on(|state, ()| terminal_stderr::Host::get_terminal_stderr(&mut state.cli())),
    )
}
