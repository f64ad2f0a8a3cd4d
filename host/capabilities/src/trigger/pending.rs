//! Calls of backends that are under way, as the resource `pending` of each interface.

use elias_host::capability::pricing::{Interface, Payload, Price};
use elias_host::capability::wasmtime::component::{ComponentType, Lower, Resource};
use elias_host::capability::wasmtime::{self, StoreContextMut, bail};
use elias_host::capability::{HostCall, InstanceState};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

/// The result of a call: a `result` of the interface.
pub(crate) trait Reply: Send + 'static {
    /// The error for a backend that ended without a reply.
    fn abandoned() -> Self;
}

/// A call that is under way. It is a task of its own, which runs to its end when this is dropped: what a component
/// asked for is not lost because its handler returned without waiting for it.
pub(crate) struct Pending<R> {
    state: State<R>,
    /// Ended when the reply is there for the guest.
    call: Option<HostCall>,
    /// Has the reply before the guest gets it.
    record: Option<RecordReply<R>>,
}

/// Takes a reply down.
type RecordReply<R> = Box<dyn FnOnce(&R) + Send>;

enum State<R> {
    Running(oneshot::Receiver<R>),
    Ready(R),
    Taken,
}

impl<R: Reply> Pending<R> {
    /// One whose reply is there.
    pub(crate) fn done(reply: R) -> Self {
        Self { state: State::Ready(reply), call: None, record: None }
    }

    /// Starts a call, which is measured as `call`. What is done when it is first polled never becomes a task.
    pub(crate) fn start(call: HostCall, mut running: BoxFuture<'static, R>) -> Self {
        // Woken by nobody if it is not done: the task polls it again.
        if let Some(reply) = running.as_mut().now_or_never() {
            return Self::done(reply);
        }
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            // Nobody listens any more when the guest gave it up meanwhile.
            drop(sender.send(running.await));
        });
        Self { state: State::Running(receiver), call: Some(call), record: None }
    }

    /// The same, where the call is one of a worker's turn, which records the reply as the guest takes it.
    #[cfg(any(feature = "events", feature = "jobs"))]
    pub(crate) fn recorded_by(self, call: Option<crate::turn::TurnCall>) -> Self
    where
        R: Clone + Payload,
    {
        let Some(call) = call else { return self };
        let record = move |reply: &R| {
            call.record(reply.clone(), usize::try_from(reply.units()).unwrap_or(usize::MAX));
        };
        Self { record: Some(Box::new(record)), ..self }
    }

    /// Takes the reply, which can be taken once; `None` while the call runs.
    ///
    /// # Errors
    /// A trap, when it is asked again.
    pub(crate) fn take(&mut self) -> wasmtime::Result<Option<R>> {
        let reply = match std::mem::replace(&mut self.state, State::Taken) {
            State::Taken => bail!("a result was taken twice"),
            State::Ready(reply) => reply,
            State::Running(mut receiver) => match receiver.try_recv() {
                Ok(Some(reply)) => reply,
                Ok(None) => {
                    self.state = State::Running(receiver);
                    return Ok(None);
                }
                Err(oneshot::Canceled) => R::abandoned(),
            },
        };
        self.call = None;
        if let Some(record) = self.record.take() {
            record(&reply);
        }
        Ok(Some(reply))
    }
}

#[async_trait]
impl<R: Reply> Pollable for Pending<R> {
    async fn ready(&mut self) {
        if let State::Running(receiver) = &mut self.state {
            let reply = receiver.await.unwrap_or_else(|oneshot::Canceled| R::abandoned());
            self.state = State::Ready(reply);
            self.call = None;
        }
    }
}

/// Defines the resource.
pub(crate) fn link<R>(interface: &mut Interface<'_>) -> wasmtime::Result<()>
where
    R: Reply + ComponentType + Lower + Payload,
{
    type Store<'a> = StoreContextMut<'a, InstanceState>;
    interface.resource::<Pending<R>>("pending", |state, pending| {
        state.table().delete(pending)?;
        Ok(())
    })?;
    interface.func(
        "[method]pending.subscribe",
        Price::call(),
        |mut store: Store<'_>, (pending,): (Resource<Pending<R>>,)| {
            let pollable: Resource<DynPollable> = subscribe(store.data_mut().table(), pending)?;
            Ok((pollable,))
        },
    )?;
    interface.func(
        "[method]pending.take",
        Price::call(),
        |mut store: Store<'_>, (pending,): (Resource<Pending<R>>,)| {
            Ok((store.data_mut().table().get_mut(&pending)?.take()?,))
        },
    )
}
