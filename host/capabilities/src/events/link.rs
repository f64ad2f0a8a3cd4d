//! The functions of `elias:events/events`, each with its price.

use super::Events;
use super::backend::NewEvent;
use super::contract::{Error, PublishReply, PublishRequest};
#[cfg(feature = "db")]
use crate::db::write_outbox;
#[cfg(not(feature = "db"))]
use crate::outbox::write_outbox;
use crate::trigger::{PAYLOAD_BYTES_MAX, Pending, check_json, link_pending, work_on};
use elias_host::capability::pricing::{Price, size};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::Resource;
use elias_host::capability::{HostLinker, InstanceState, wasmtime};
use futures::FutureExt;

/// Units of fuel of an event that is published, which is written to a store, and of a byte of its data, which are read
/// as JSON.
const EVENT: u64 = 200_000;
const DATA_BYTE: u64 = 60;

/// Units of fuel of an event in a transaction: of its statement, too. Its data are also written as a JSON string.
const EVENT_IN: u64 = 300_000;
const DATA_BYTE_IN: u64 = 80;

/// Defines the interface.
pub(super) fn init(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut events = linker.interface("elias:events/events@0.1.0")?;
    link_pending::<PublishReply>(&mut events)?;
    let data = size("bytes of the data", |(request,): &(PublishRequest,)| request.data.len() as u64);
    events.func_async(
        "publish",
        Price::of(EVENT).per(DATA_BYTE, data.limited_to(PAYLOAD_BYTES_MAX)),
        |store, (request,): (PublishRequest,)| Box::new(publish(store, request)),
    )?;
    let data = size("bytes of the data", |(_, request): &(u32, PublishRequest)| request.data.len() as u64);
    events.func_async(
        "publish-in",
        Price::of(EVENT_IN).per(DATA_BYTE_IN, data.limited_to(PAYLOAD_BYTES_MAX)),
        |store, (transaction, request): (u32, PublishRequest)| Box::new(publish_in(store, transaction, request)),
    )
}

/// Checks all of an event.
async fn check(state: &mut InstanceState, request: PublishRequest) -> wasmtime::Result<Result<NewEvent, Error>> {
    Ok(match state.context::<Events>().check(request) {
        Ok(mut event) => {
            let read = check_json(state.info(), std::mem::take(&mut event.data)).await?;
            read.map(|data| NewEvent { data, ..event })
                .map_err(|why| Error::invalid(format!("the data are not JSON: {why}")))
        }
        Err(error) => Err(error),
    })
}

async fn publish(
    mut store: StoreContextMut<'_, InstanceState>,
    request: PublishRequest,
) -> wasmtime::Result<(Resource<Pending<PublishReply>>,)> {
    let state = store.data_mut();
    let pending = match check(state, request).await? {
        Ok(event) => state.context::<Events>().publish(event),
        Err(error) => Pending::done(Err(error)),
    };
    Ok((state.table().push(pending)?,))
}

async fn publish_in(
    mut store: StoreContextMut<'_, InstanceState>,
    transaction: u32,
    request: PublishRequest,
) -> wasmtime::Result<(Resource<Pending<PublishReply>>,)> {
    let state = store.data_mut();
    let row = match check(state, request).await? {
        Ok(event) => {
            let bytes = event.data.len();
            let write = state.context::<Events>().row(event);
            match write {
                Ok(write) => work_on(state.info(), bytes, write).await?,
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let pending = match row {
        Ok(row) => {
            let (id, call) = (row.id.clone(), state.context::<Events>().begin_call());
            let written = write_outbox(state, transaction, row);
            Pending::start(call, async move { written.await.map(|()| id).map_err(Error::from) }.boxed())
        }
        Err(error) => Pending::done(Err(error)),
    };
    Ok((state.table().push(pending)?,))
}
