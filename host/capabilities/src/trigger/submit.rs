//! The functions by which a component submits a job or an event: at once, or in a transaction of its database.

use super::{Pending, Reply, check_json, work_on};
#[cfg(feature = "db")]
use crate::db::write_outbox;
#[cfg(not(feature = "db"))]
use crate::outbox::write_outbox;
use crate::outbox::{OutboxRow, WriteError};
use crate::turn::TurnCall;
use elias_host::capability::pricing::Payload;
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::Resource;
use elias_host::capability::{Capability, HostCall, InstanceState, wasmtime};
use futures::FutureExt;

/// The work that makes the row of an item; it takes as long as the payload is.
pub(crate) type MakeRow<E> = Box<dyn FnOnce() -> Result<OutboxRow, E> + Send>;

/// The context of a capability that takes items, jobs or events, each with a payload of JSON.
pub(crate) trait Submit {
    /// An item as the component gives it.
    type Request;
    /// An item that was checked.
    type Item;
    /// The error of the interface.
    type Error: From<WriteError> + Clone + Payload + Send + 'static;

    /// Checks all of an item but that its payload is JSON, and takes it from the execution's budget.
    fn check(&mut self, request: Self::Request) -> Result<Self::Item, Self::Error>;

    /// The payload of an item.
    fn payload(item: &mut Self::Item) -> &mut String;

    /// The call of a worker's turn that an item is, whose key the item gets if it has none: however often the turn is
    /// tried, it is submitted once. None outside of turns.
    fn turn_call(&self, item: &mut Self::Item) -> Option<TurnCall>;

    /// The error for a payload that is not JSON.
    fn not_json(why: &str) -> Self::Error;

    /// Gives an item to the backend. The reply has its id.
    fn submit(&self, item: Self::Item) -> Pending<Result<String, Self::Error>>;

    /// The work that makes the row of an item in the outbox.
    fn row(&self, item: Self::Item) -> Result<MakeRow<Self::Error>, Self::Error>;

    /// The call that writes a row.
    fn begin_call(&self) -> HostCall;
}

type Context<C> = <C as Capability>::Context;
type Request<C> = <Context<C> as Submit>::Request;
type Item<C> = <Context<C> as Submit>::Item;
type Failure<C> = <Context<C> as Submit>::Error;
type PendingId<C> = Pending<Result<String, Failure<C>>>;

/// Checks all of an item.
async fn check<C>(state: &mut InstanceState, request: Request<C>) -> wasmtime::Result<Result<Item<C>, Failure<C>>>
where
    C: Capability,
    C::Context: Submit,
{
    let mut item = match state.context::<C>().check(request) {
        Ok(item) => item,
        Err(error) => return Ok(Err(error)),
    };
    let payload = std::mem::take(Context::<C>::payload(&mut item));
    Ok(match check_json(state.info(), payload).await? {
        Ok(payload) => {
            *Context::<C>::payload(&mut item) = payload;
            Ok(item)
        }
        Err(why) => Err(Context::<C>::not_json(&why)),
    })
}

/// Submits an item at once.
pub(crate) async fn submit<C>(
    mut store: StoreContextMut<'_, InstanceState>,
    request: Request<C>,
) -> wasmtime::Result<(Resource<PendingId<C>>,)>
where
    C: Capability,
    C::Context: Submit,
    Result<String, Failure<C>>: Reply,
{
    let state = store.data_mut();
    let pending = match check::<C>(state, request).await? {
        Ok(mut item) => {
            let context = state.context::<C>();
            let call = context.turn_call(&mut item);
            match call.as_ref().and_then(TurnCall::recorded) {
                Some(reply) => Pending::done(reply),
                None => context.submit(item).recorded_by(call),
            }
        }
        Err(error) => Pending::done(Err(error)),
    };
    Ok((state.table().push(pending)?,))
}

/// Submits an item with a transaction of the component's database: by a row in its outbox.
pub(crate) async fn submit_in<C>(
    mut store: StoreContextMut<'_, InstanceState>,
    transaction: u32,
    request: Request<C>,
) -> wasmtime::Result<(Resource<PendingId<C>>,)>
where
    C: Capability,
    C::Context: Submit,
    Result<String, Failure<C>>: Reply,
{
    let state = store.data_mut();
    let row = match check::<C>(state, request).await? {
        Ok(mut item) => {
            let bytes = Context::<C>::payload(&mut item).len();
            let context = state.context::<C>();
            // The row itself is a part of its transaction.
            drop(context.turn_call(&mut item));
            let make = context.row(item);
            match make {
                Ok(make) => work_on(state.info(), bytes, make).await?,
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    let pending = match row {
        Ok(row) => {
            let (id, call) = (row.id.clone(), state.context::<C>().begin_call());
            let written = write_outbox(state, transaction, row);
            Pending::start(call, async move { written.await.map(|()| id).map_err(Failure::<C>::from) }.boxed())
        }
        Err(error) => Pending::done(Err(error)),
    };
    Ok((state.table().push(pending)?,))
}
