//! The functions of `elias:workflow/steps`, each with its price.

use super::Workflow;
use super::context::{BegunStep, FILTER_BYTES_MAX};
use super::contract::StepReply;
use super::grant::OUTCOME_BYTES_MAX;
use super::transaction;
use crate::trigger::link_pending;
use elias_host::capability::pricing::{Price, size};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{HostLinker, InstanceState, wasmtime};

/// Units of fuel of a question to the journal, which is read from or written to a store; of a byte of an outcome, which
/// is copied; and of a byte of a filter, which is read as JSON.
const STEP: u64 = 200_000;
const OUTCOME_BYTE: u64 = 4;
const FILTER_BYTE: u64 = 100;

/// Units of fuel of a step that is read or written in a transaction: of its statements.
const STEP_IN: u64 = 300_000;

type Store<'a> = StoreContextMut<'a, InstanceState>;

/// Defines the interface.
pub(super) fn init(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut steps = linker.interface("elias:workflow/steps@0.1.0")?;
    link_pending::<StepReply>(&mut steps)?;
    steps.func("begin", Price::of(STEP), |mut store: Store<'_>, (name, input_hash): (String, String)| {
        let state = store.data_mut();
        let pending = state.context::<Workflow>().begin(name, input_hash);
        Ok((state.table().push(pending)?,))
    })?;
    let outcome = size("bytes of the outcome", |(_, outcome): &(u32, String)| outcome.len() as u64);
    steps.func(
        "finish",
        Price::of(STEP).per(OUTCOME_BYTE, outcome.limited_to(OUTCOME_BYTES_MAX)),
        |mut store: Store<'_>, (position, outcome): (u32, String)| {
            let state = store.data_mut();
            let pending = state.context::<Workflow>().finish(position, outcome);
            Ok((state.table().push(pending)?,))
        },
    )?;
    type BeginIn = (u32, u32, String, String);
    steps.func(
        "begin-in",
        Price::of(STEP_IN),
        |mut store: Store<'_>, (number, position, name, input_hash): BeginIn| {
            let state = store.data_mut();
            let pending = transaction::begin(state, number, BegunStep { position, name, input_hash });
            Ok((state.table().push(pending)?,))
        },
    )?;
    type FinishIn = (u32, u32, String, String, String);
    let outcome = size("bytes of the outcome", |(.., outcome): &FinishIn| outcome.len() as u64);
    steps.func(
        "finish-in",
        Price::of(STEP_IN).per(OUTCOME_BYTE, outcome.limited_to(OUTCOME_BYTES_MAX)),
        |mut store: Store<'_>, (number, position, name, input_hash, outcome): FinishIn| {
            let state = store.data_mut();
            let pending = transaction::finish(state, number, BegunStep { position, name, input_hash }, outcome);
            Ok((state.table().push(pending)?,))
        },
    )?;
    steps.func("sleep", Price::of(STEP), |mut store: Store<'_>, (name, ms): (String, u64)| {
        let state = store.data_mut();
        let pending = state.context::<Workflow>().sleep(name, ms);
        Ok((state.table().push(pending)?,))
    })?;
    type Wait = (String, String, String, Option<u64>);
    let filter = size("bytes of the filter", |(_, _, filter, _): &Wait| filter.len() as u64);
    steps.func(
        "wait-for",
        Price::of(STEP).per(FILTER_BYTE, filter.limited_to(FILTER_BYTES_MAX as u64)),
        |mut store: Store<'_>, (name, event_type, filter, timeout_ms): Wait| {
            let state = store.data_mut();
            let pending = state.context::<Workflow>().wait_for(name, event_type, filter, timeout_ms);
            Ok((state.table().push(pending)?,))
        },
    )
}
