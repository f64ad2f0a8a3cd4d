//! `elias/workflow`: the workflow capability, the journal of a job's steps.

use super::convert::{UsvString, error_with_code};
use super::db::transaction_number;
use super::require;
use super::streams::promise_of_operation;
use crate::bindings::elias::workflow::steps::{self, Answer, Error, ErrorCode, Pending};
use crate::phase::Import;
use javy::quickjs::{Ctx, Function, Object, Result, Value};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("workflowBegin", Function::new(ctx.clone(), begin)?)?;
    native.set("workflowFinish", Function::new(ctx.clone(), finish)?)?;
    native.set("workflowBeginIn", Function::new(ctx.clone(), begin_in)?)?;
    native.set("workflowFinishIn", Function::new(ctx.clone(), finish_in)?)?;
    native.set("workflowSleep", Function::new(ctx.clone(), sleep)?)?;
    native.set("workflowWaitFor", Function::new(ctx, wait_for)?)
}

/// Begins a step. `input` is a JSON text; a step without one has always the same.
fn begin<'js>(ctx: Ctx<'js>, UsvString(name): UsvString, input: Option<UsvString>) -> Result<Value<'js>> {
    require(&ctx, Import::Workflow, "a step")?;
    wait(&ctx, steps::begin(&name, &input_hash(&name, input)))
}

/// Records the outcome of a step, a JSON text.
fn finish<'js>(ctx: Ctx<'js>, position: u32, UsvString(outcome): UsvString) -> Result<Value<'js>> {
    require(&ctx, Import::Workflow, "a step")?;
    wait(&ctx, steps::finish(position, &outcome))
}

/// Looks up a step that was begun, with the same name and input, in the transaction of that id.
fn begin_in<'js>(
    ctx: Ctx<'js>,
    transaction: u32,
    position: u32,
    UsvString(name): UsvString,
    input: Option<UsvString>,
) -> Result<Value<'js>> {
    require(&ctx, Import::Workflow, "a step")?;
    let number = transaction_number(&ctx, transaction)?;
    wait(&ctx, steps::begin_in(number, position, &name, &input_hash(&name, input)))
}

/// Writes the outcome of such a step in its transaction.
fn finish_in<'js>(
    ctx: Ctx<'js>,
    transaction: u32,
    position: u32,
    UsvString(name): UsvString,
    input: Option<UsvString>,
    UsvString(outcome): UsvString,
) -> Result<Value<'js>> {
    require(&ctx, Import::Workflow, "a step")?;
    let number = transaction_number(&ctx, transaction)?;
    wait(&ctx, steps::finish_in(number, position, &name, &input_hash(&name, input), &outcome))
}

fn sleep<'js>(ctx: Ctx<'js>, UsvString(name): UsvString, milliseconds: f64) -> Result<Value<'js>> {
    require(&ctx, Import::Workflow, "step.sleep")?;
    wait(&ctx, steps::sleep(&name, milliseconds as u64))
}

/// Waits for an event; `filter` is a JSON object.
fn wait_for<'js>(
    ctx: Ctx<'js>,
    UsvString(name): UsvString,
    UsvString(event_type): UsvString,
    UsvString(filter): UsvString,
    timeout_ms: Option<f64>,
) -> Result<Value<'js>> {
    require(&ctx, Import::Workflow, "step.waitFor")?;
    let timeout_ms = timeout_ms.map(|timeout| timeout as u64);
    wait(&ctx, steps::wait_for(&name, &event_type, &filter, timeout_ms))
}

/// 64 bits of FNV-1a in hexadecimal. It tells a step whose input changed; nobody gains by two inputs with one hash.
fn input_hash(name: &str, input: Option<UsvString>) -> String {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let input = input.map(|text| text.0).unwrap_or_default();
    let bytes = name.bytes().chain([0]).chain(input.bytes());
    let hash = bytes.fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}

fn wait<'js>(ctx: &Ctx<'js>, pending: Pending) -> Result<Value<'js>> {
    promise_of_operation(ctx, pending, Pending::take, Pending::subscribe, convert)
}

/// An object with the answer's name as `state`, and its `position` or its JSON text as `value`.
fn convert<'js>(ctx: &Ctx<'js>, outcome: std::result::Result<Answer, Error>) -> Result<Value<'js>> {
    let answer = outcome.map_err(|error| throw(ctx, error))?;
    let object = Object::new(ctx.clone())?;
    let state = match answer {
        Answer::Recorded(outcome) => {
            object.set("value", outcome)?;
            "recorded"
        }
        Answer::Run(position) => {
            object.set("position", position)?;
            "run"
        }
        Answer::Finished => "finished",
        Answer::Elapsed => "elapsed",
        Answer::Happened(event) => {
            object.set("value", event)?;
            "happened"
        }
        Answer::TimedOut => "timed-out",
        Answer::Wait => "wait",
    };
    object.set("state", state)?;
    Ok(object.into_value())
}

fn throw(ctx: &Ctx<'_>, Error { code, message }: Error) -> javy::quickjs::Error {
    let code = match code {
        ErrorCode::NotInAJob => "not-in-a-job",
        ErrorCode::NondeterministicStep => "nondeterministic-step",
        ErrorCode::Invalid => "invalid",
        ErrorCode::TooLarge => "too-large",
        ErrorCode::QuotaExceeded => "quota-exceeded",
        ErrorCode::Unavailable => "unavailable",
    };
    error_with_code(ctx, code, None, &message)
}
