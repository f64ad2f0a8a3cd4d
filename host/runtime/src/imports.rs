//! The imports that components can have: WASI, `elias:component/context`, and the interfaces of the capabilities.

use crate::capability::ErasedCapability;
use crate::execution::Caller;
use crate::instance::InstanceState;
use crate::pricing::{HostFunction, HostLinker, Payload, Price};
use crate::wasi;
use std::sync::Arc;
use wasmtime::component::{ComponentType, Lift, Lower};
use wasmtime::{Engine, StoreContextMut};

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

impl Payload for Execution {
    fn units(&self) -> u64 {
        self.id.units()
    }
}

impl Payload for CallerRecord {
    fn units(&self) -> u64 {
        let Self { tenant_id, user_id, organization_id, claims } = self;
        tenant_id.units() + user_id.units() + organization_id.units() + claims.units()
    }
}

/// Links WASI 0.2 without files and network, `wasi:http/types`, `elias:component/context`, and the functions of the
/// capabilities. `known` are these functions as another linker has listed them: their calls are measured together.
pub(crate) fn link(
    engine: &Engine,
    capabilities: &[Arc<dyn ErasedCapability>],
    known: Vec<HostFunction>,
) -> wasmtime::Result<HostLinker> {
    let mut linker = HostLinker::new(engine, known);
    wasi::link(&mut linker)?;
    let mut context = linker.interface("elias:component/context@0.1.0")?;
    context.func("current", Price::call(), |store: StoreContextMut<'_, InstanceState>, (): ()| {
        let info = store.data().info();
        let remaining_ms = u64::try_from(info.remaining().as_millis()).unwrap_or(u64::MAX);
        Ok((Execution { id: info.execution().to_owned(), remaining_ms },))
    })?;
    context.func("current-caller", Price::call(), |store: StoreContextMut<'_, InstanceState>, (): ()| {
        let Caller { tenant_id, user_id, organization_id, claims, client_address: _ } =
            store.data().info().caller().clone();
        Ok((CallerRecord { tenant_id, user_id, organization_id, claims },))
    })?;
    context.func("client-address", Price::call(), |store: StoreContextMut<'_, InstanceState>, (): ()| {
        Ok((store.data().info().caller().client_address.map(|address| address.to_string()),))
    })?;
    for capability in capabilities {
        capability.init(&mut linker)?;
    }
    Ok(linker)
}
