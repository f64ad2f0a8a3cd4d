//! The functions of `elias:workers/workers`, each with its price.

use super::Workers;
use super::contract::{CallReply, CallRequest};
use super::grant::PAYLOAD_BYTES_MAX;
use crate::trigger::link_pending;
use elias_host::capability::pricing::{Price, size};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{HostLinker, InstanceState, wasmtime};

/// Units of fuel of a call, whose turn the worker pays for itself, and of a byte of its value, which is copied into the
/// worker's turn.
const CALL: u64 = 200_000;
const VALUE_BYTE: u64 = 4;

/// Defines the interface.
pub(super) fn init(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut workers = linker.interface("elias:workers/workers@0.1.0")?;
    link_pending::<CallReply>(&mut workers)?;
    let value = size("bytes of the value", |(request,): &(CallRequest,)| request.value.len() as u64);
    workers.func(
        "call",
        Price::of(CALL).per(VALUE_BYTE, value.limited_to(PAYLOAD_BYTES_MAX)),
        |mut store: StoreContextMut<'_, InstanceState>, (request,): (CallRequest,)| {
            let state = store.data_mut();
            let pending = state.context::<Workers>().call(request);
            Ok((state.table().push(pending)?,))
        },
    )
}
