//! The WASI 0.2 interfaces that components can import, each function with its price.
//!
//! wasmtime's own `add_to_linker` would link them whole and free of charge; these are the same implementations behind
//! [`HostLinker`]. Of the file system and of sockets a component is given nothing. Their interfaces are there because
//! libraries import them: what takes no handle answers that nothing is there, and a handle to call the rest with cannot
//! be had.

mod absent;
mod cli;
mod http;
mod io;

use crate::instance::InstanceState;
use crate::pricing::{HostLinker, Payload};
use wasmtime::StoreContextMut;

/// The version of WASI that is linked; components of earlier ones of 0.2 find it too.
const VERSION: &str = "0.2.12";

/// Defines all of them.
pub(crate) fn link(linker: &mut HostLinker) -> wasmtime::Result<()> {
    io::link(linker)?;
    cli::link(linker)?;
    http::link(linker)?;
    absent::link(linker)
}

/// The whole name of an interface.
fn named(interface: &str) -> String {
    format!("{interface}@{VERSION}")
}

/// A host function's body of a function on an instance's state that gives one result.
fn on<P, R: Payload>(
    body: impl Fn(&mut InstanceState, P) -> wasmtime::Result<R> + Send + Sync + 'static,
) -> impl Fn(StoreContextMut<'_, InstanceState>, P) -> wasmtime::Result<(R,)> + Send + Sync + 'static {
    move |mut store, arguments| Ok((body(store.data_mut(), arguments)?,))
}
