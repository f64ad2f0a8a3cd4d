//! `wasi:keyvalue` over the same backends, for components of other toolchains: `store` and `atomics`, of both drafts
//! that are in use. Keys cannot be listed: a cache does not know what it still has.
//!
//! The types are written by hand: the drafts differ in two of them, and generated bindings would be everything twice.
//! `tests/contract.rs` compares both with their WIT.

use super::contract::{Command, CommandOutput, Entry, Error as CacheError, Increment, Value};
use super::operation::{Outcome, RunnerGetter};
use super::price::COMMAND;
use elias_host::capability::pricing::{HostLinker, Payload, Price};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower, Resource};
use elias_host::capability::{InstanceState, wasmtime};

/// `wasi:keyvalue/store.bucket`. There is one, the component's own, under two names.
struct Bucket;

/// The names of the one bucket.
const BUCKETS: [&str; 2] = ["", "default"];

/// `wasi:keyvalue/store.error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    #[allow(dead_code)] // what is denied is refused when the component is loaded
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

impl Payload for Error {
    fn units(&self) -> u64 {
        if let Self::Other(why) = self { why.units() } else { 0 }
    }
}

impl<C> Payload for Keys<C> {
    fn units(&self) -> u64 {
        self.keys.units()
    }
}

impl From<CacheError> for Error {
    fn from(error: CacheError) -> Self {
        Self::Other(error.message)
    }
}

/// `wasi:keyvalue/store.key-response`, whose cursor the drafts disagree on.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Keys<C> {
    keys: Vec<String>,
    cursor: Option<C>,
}

/// Defines the interfaces.
pub(super) fn init(linker: &mut HostLinker, runner: RunnerGetter) -> wasmtime::Result<()> {
    store::<u64>(linker, "0.2.0-draft", runner)?;
    store::<String>(linker, "0.2.0-draft2", runner)?;
    atomics(linker, "0.2.0-draft", runner, |delta: u64| i64::try_from(delta).ok(), |sum| u64::try_from(sum).ok())?;
    atomics(linker, "0.2.0-draft2", runner, Some::<i64>, Some)
}

/// Runs a command for the instance that a host function was called by.
async fn run(store: &mut StoreContextMut<'_, InstanceState>, runner: RunnerGetter, command: Command) -> Outcome {
    let runner = runner(store.data_mut()).clone();
    runner.run(command).await
}

fn store<C>(linker: &mut HostLinker, version: &str, runner: RunnerGetter) -> wasmtime::Result<()>
where
    C: ComponentType + Lift + Lower + Payload + Send + Sync + 'static,
{
    let mut interface = linker.interface(&format!("wasi:keyvalue/store@{version}"))?;
    interface.resource::<Bucket>("bucket", |state, bucket| {
        state.table().delete(bucket)?;
        Ok(())
    })?;
    interface.func("open", Price::call(), |mut store: StoreContextMut<'_, InstanceState>, (name,): (String,)| {
        Ok((if BUCKETS.contains(&name.as_str()) {
            Ok(store.data_mut().table().push(Bucket)?)
        } else {
            Err(Error::NoSuchStore)
        },))
    })?;
    interface.func_async(
        "[method]bucket.get",
        Price::of(COMMAND),
        move |mut store, (_, key): (Resource<Bucket>, String)| {
            Box::new(async move {
                Ok((match run(&mut store, runner, Command::Get(key)).await {
                    Ok(CommandOutput::Value(value)) => Ok(value),
                    Ok(_) => Ok(None),
                    Err(error) => Err(Error::from(error)),
                },))
            })
        },
    )?;
    interface.func_async(
        "[method]bucket.set",
        Price::of(COMMAND),
        move |mut store, (_, key, value): (Resource<Bucket>, String, Value)| {
            Box::new(async move {
                let outcome = run(&mut store, runner, Command::Set(Entry { key, value, ttl_ms: None })).await;
                Ok((outcome.map(drop).map_err(Error::from),))
            })
        },
    )?;
    interface.func_async(
        "[method]bucket.delete",
        Price::of(COMMAND),
        move |mut store, (_, key): (Resource<Bucket>, String)| {
            Box::new(async move {
                Ok((run(&mut store, runner, Command::Delete(key)).await.map(drop).map_err(Error::from),))
            })
        },
    )?;
    interface.func_async(
        "[method]bucket.exists",
        Price::of(COMMAND),
        move |mut store, (_, key): (Resource<Bucket>, String)| {
            Box::new(async move {
                let outcome = run(&mut store, runner, Command::Get(key)).await;
                Ok((outcome.map(|answer| matches!(answer, CommandOutput::Value(Some(_)))).map_err(Error::from),))
            })
        },
    )?;
    interface.func(
        "[method]bucket.list-keys",
        Price::call(),
        |_: StoreContextMut<'_, InstanceState>, (_, _): (Resource<Bucket>, Option<C>)| {
            Ok((Err::<Keys<C>, Error>(Error::Other("the keys of a cache cannot be listed".to_owned())),))
        },
    )
}

fn atomics<D, S>(
    linker: &mut HostLinker,
    version: &str,
    runner: RunnerGetter,
    delta: fn(D) -> Option<i64>,
    sum: fn(i64) -> Option<S>,
) -> wasmtime::Result<()>
where
    D: ComponentType + Lift + Payload + Send + Sync + 'static,
    S: ComponentType + Lower + Payload + Send + Sync + 'static,
{
    linker.interface(&format!("wasi:keyvalue/atomics@{version}"))?.func_async(
        "increment",
        Price::of(COMMAND),
        move |mut store, (_, key, by): (Resource<Bucket>, String, D)| {
            Box::new(async move {
                let command = delta(by).map(|by| Command::Increment(Increment { key, by, ttl_ms: None }));
                let outcome = match command {
                    Some(command) => run(&mut store, runner, command).await,
                    None => Err(CacheError::not_a_number()),
                };
                Ok((match outcome {
                    Ok(CommandOutput::Number(number)) => sum(number).ok_or_else(|| CacheError::not_a_number().into()),
                    Ok(_) => Err(CacheError::not_a_number().into()),
                    Err(error) => Err(Error::from(error)),
                },))
            })
        },
    )
}
