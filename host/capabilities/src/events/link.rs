//! The functions of `elias:events/events`, each with its price.

use super::Events;
use super::contract::{PublishReply, PublishRequest};
use crate::trigger::{PAYLOAD_BYTES_MAX, link_pending, submit, submit_in};
use elias_host::capability::pricing::{Price, size};
use elias_host::capability::{HostLinker, wasmtime};

/// Fuel of an event that is published, which is written to a store.
const EVENT_FUEL: u64 = 200_000;
/// Fuel of a byte of its data, which are read as JSON.
const DATA_BYTE_FUEL: u64 = 60;

/// Fuel of an event in a transaction, which includes its statement.
const EVENT_IN_FUEL: u64 = 300_000;
/// Fuel of a byte of its data, which are also written as a JSON string.
const DATA_BYTE_IN_FUEL: u64 = 80;

/// Defines the interface.
pub(super) fn init(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut events = linker.interface("elias:events/events@0.1.0")?;
    link_pending::<PublishReply>(&mut events)?;
    let data = size("bytes of the data", |(request,): &(PublishRequest,)| request.data.len() as u64);
    events.func_async(
        "publish",
        Price::of(EVENT_FUEL).per(DATA_BYTE_FUEL, data.limited_to(PAYLOAD_BYTES_MAX)),
        |store, (request,): (PublishRequest,)| Box::new(submit::<Events>(store, request)),
    )?;
    let data = size("bytes of the data", |(_, request): &(u32, PublishRequest)| request.data.len() as u64);
    events.func_async(
        "publish-in",
        Price::of(EVENT_IN_FUEL).per(DATA_BYTE_IN_FUEL, data.limited_to(PAYLOAD_BYTES_MAX)),
        |store, (transaction, request): (u32, PublishRequest)| {
            Box::new(submit_in::<Events>(store, transaction, request))
        },
    )
}
