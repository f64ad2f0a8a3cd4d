//! The functions of `elias:cache/cache`, each with its price.

use super::contract::{Command, CommandOutput, Error};
use super::lease::Lease;
use super::operation::{Operation, Outcome, RunnerGetter, StartOutcome};
use super::price::{COMMAND, KEY, keys};
use elias_host::capability::pricing::{Payload, Price};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::{ComponentType, Lower, Resource, ResourceTable};
use elias_host::capability::{HostLinker, InstanceState, wasmtime};
use wasmtime_wasi_io::poll::{DynPollable, subscribe};

type Store<'a> = StoreContextMut<'a, InstanceState>;

/// The result of `start`.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum StartResult {
    #[component(name = "done")]
    Done(Result<CommandOutput<Resource<Lease>>, Error>),
    #[component(name = "pending")]
    Pending(Resource<Operation>),
}

impl Payload for StartResult {
    fn units(&self) -> u64 {
        match self {
            Self::Done(outcome) => outcome.units(),
            Self::Pending(_) => 0,
        }
    }
}

/// Defines the interface.
pub(super) fn init(linker: &mut HostLinker, runner: RunnerGetter) -> wasmtime::Result<()> {
    let mut cache = linker.interface("elias:cache/cache@0.1.0")?;
    cache.resource::<Lease>("lease", |state, lease| {
        state.table().delete(lease)?;
        Ok(())
    })?;
    cache.resource::<Operation>("operation", |state, operation| {
        state.table().delete(operation)?;
        Ok(())
    })?;
    cache.func(
        "start",
        Price::of(COMMAND).per(KEY, keys(|(command,): &(Command,)| command)),
        move |mut store: Store<'_>, (command,): (Command,)| {
            let state = store.data_mut();
            let started = runner(state).start(command);
            Ok((match started {
                StartOutcome::Done(outcome) => StartResult::Done(hand_over(state.table(), outcome)?),
                StartOutcome::Pending(operation) => StartResult::Pending(state.table().push(operation)?),
            },))
        },
    )?;
    cache.func(
        "[method]operation.subscribe",
        Price::call(),
        |mut store: Store<'_>, (operation,): (Resource<Operation>,)| {
            let pollable: Resource<DynPollable> = subscribe(store.data_mut().table(), operation)?;
            Ok((pollable,))
        },
    )?;
    cache.func("[method]operation.take", Price::call(), |mut store: Store<'_>, (operation,): (Resource<Operation>,)| {
        let table = store.data_mut().table();
        let outcome = table.get_mut(&operation)?.take()?;
        Ok((outcome.map(|outcome| hand_over(table, outcome)).transpose()?,))
    })
}

/// Makes of an outcome what a component can be told: a lease becomes a handle.
fn hand_over(
    table: &mut ResourceTable,
    outcome: Outcome,
) -> wasmtime::Result<Result<CommandOutput<Resource<Lease>>, Error>> {
    match outcome {
        Ok(output) => Ok(Ok(output.map_lease(|lease| table.push(lease))?)),
        Err(error) => Ok(Err(error)),
    }
}
