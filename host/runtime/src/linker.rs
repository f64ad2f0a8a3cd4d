//! The interfaces that every component finds.

use crate::capability::ErasedCapability;
use crate::execution::Caller;
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

/// `elias:component/context.caller`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct CallerRecord {
    #[component(name = "tenant-id")]
    tenant_id: Option<String>,
    #[component(name = "user-id")]
    user_id: Option<String>,
    #[component(name = "organization-id")]
    organization_id: Option<String>,
    claims: Option<String>,
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
    let mut context = linker.instance("elias:component/context@0.1.0")?;
    context.func_wrap("current", |store: StoreContextMut<'_, InstanceState>, (): ()| {
        let info = store.data().info();
        let remaining_ms = u64::try_from(info.remaining().as_millis()).unwrap_or(u64::MAX);
        Ok((Execution { id: info.execution().to_owned(), remaining_ms },))
    })?;
    context.func_wrap("current-caller", |store: StoreContextMut<'_, InstanceState>, (): ()| {
        let Caller { tenant_id, user_id, organization_id, claims, .. } = store.data().info().caller().clone();
        Ok((CallerRecord { tenant_id, user_id, organization_id, claims },))
    })?;
    context.func_wrap("client-address", |store: StoreContextMut<'_, InstanceState>, (): ()| {
        Ok((store.data().info().caller().client_address.map(|address| address.to_string()),))
    })?;
    for capability in capabilities {
        capability.init(&mut linker)?;
    }
    Ok(linker)
}
