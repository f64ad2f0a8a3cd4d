//! The interfaces that every component finds.

use crate::capability::ErasedCapability;
use crate::instance::InstanceState;
use std::sync::Arc;
use wasmtime::component::{ComponentType, HasData, Lift, Linker, Lower, ResourceTable};
use wasmtime::{Engine, StoreContextMut};
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};
use wasmtime_wasi_io::bindings::wasi::io;

/// `wasi:io` needs nothing but the table.
struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// `elias:component/context.execution`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Execution {
    id: String,
    #[component(name = "remaining-ms")]
    remaining_ms: u64,
}

/// WASI 0.2 without a network, `wasi:http/types`, `elias:component/context`, and what the capabilities add.
pub(crate) fn linker(
    engine: &Engine,
    capabilities: &[Arc<dyn ErasedCapability>],
) -> wasmtime::Result<Linker<InstanceState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // Again, on the table alone: reading and writing bodies must not make a WasiCtx.
    linker.allow_shadowing(true);
    io::error::add_to_linker::<InstanceState, Io>(&mut linker, |state| &mut state.table)?;
    io::poll::add_to_linker::<InstanceState, Io>(&mut linker, |state| &mut state.table)?;
    io::streams::add_to_linker::<InstanceState, Io>(&mut linker, |state| &mut state.table)?;
    linker.allow_shadowing(false);
    http::types::add_to_linker::<InstanceState, WasiHttp>(&mut linker, &Default::default(), InstanceState::http)?;
    linker.instance("elias:component/context@0.1.0")?.func_wrap(
        "current",
        |store: StoreContextMut<'_, InstanceState>, (): ()| {
            let info = store.data().info();
            let remaining_ms = u64::try_from(info.remaining().as_millis()).unwrap_or(u64::MAX);
            Ok((Execution { id: info.execution().to_owned(), remaining_ms },))
        },
    )?;
    for capability in capabilities {
        capability.init(&mut linker)?;
    }
    Ok(linker)
}
