//! An embedder's capabilities, which the engine does not know: `elias-build` describes them by their WIT package.
//!
//! The engine imports one function for all of them. A component that uses some has an adapter behind it, which knows
//! their core types; this knows their types of WIT, and converts values.

mod lift;
mod lower;
mod types;

use crate::phase;
use javy::quickjs::function::Rest;
use javy::quickjs::{Ctx, Exception, Function, Object, Result, Value};
use lower::{Block, Lowering, Path, flatten};
use std::cell::RefCell;
use std::rc::Rc;

#[link(wasm_import_module = "elias:engine/capabilities")]
unsafe extern "C" {
    /// Calls the function with this number. `slots` are its flat core values, 8 bytes each; the first is what it
    /// gives, if that is one core value.
    #[link_name = "call"]
    fn call_capability(function: usize, slots: *mut u64);
}

/// Core values that a function is given; if there are more, they go through memory.
const FLAT_PARAMETERS_MAX: usize = 16;

struct Functions(RefCell<Vec<Rc<types::Function>>>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Functions {}

/// By their numbers.
static FUNCTIONS: Functions = Functions(RefCell::new(Vec::new()));

/// Takes the description of the functions that the component imports; see [`types`].
///
/// # Errors
/// The defect.
pub(crate) fn describe(text: &str) -> std::result::Result<(), String> {
    let functions = types::parse(text)?;
    FUNCTIONS.0.replace(functions.into_iter().map(Rc::new).collect());
    Ok(())
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("capabilityFunction", Function::new(ctx, function)?)
}

/// The function with this id, `PACKAGE/INTERFACE@VERSION#FUNCTION`, for JavaScript to call.
fn function<'js>(ctx: Ctx<'js>, id: String) -> Result<Function<'js>> {
    let functions = FUNCTIONS.0.borrow();
    let Some(number) = functions.iter().position(|function| function.id == id) else {
        return Err(Exception::throw_internal(&ctx, &format!("the component does not import {id}")));
    };
    let function = Rc::clone(&functions[number]);
    let types::Function { name, parameters, .. } = &*functions[number];
    let called = move |ctx: Ctx<'js>, arguments: Rest<Value<'js>>| call(&ctx, number, &function, &arguments.0);
    Function::new(ctx, called)?.with_name(name)?.with_length(parameters.len())
}

fn call<'js>(
    ctx: &Ctx<'js>,
    number: usize,
    function: &types::Function,
    arguments: &[Value<'js>],
) -> Result<Value<'js>> {
    let types::Function { id, parameters, result, .. } = function;
    if phase::building() {
        let message =
            format!("{id} is not available at the top level, which runs during the build; use it in a handler");
        return Err(Exception::throw_message(ctx, &message));
    }
    let mut lowering = Lowering::new(ctx, function);
    let mut stored = Block::new(ctx, types::parameters_size(parameters))?;
    for (index, parameter) in parameters.iter().enumerate() {
        let value = arguments.get(index).cloned().unwrap_or_else(|| Value::new_undefined(ctx.clone()));
        let place = &mut stored.bytes_mut()[parameter.offset..parameter.offset + parameter.ty.size];
        lowering.store(&value, &parameter.ty, place, &Path::of(&parameter.name))?;
    }
    let flat = parameters.iter().fold(0_usize, |sum, parameter| sum.saturating_add(parameter.ty.flat));
    let mut slots = Vec::with_capacity(FLAT_PARAMETERS_MAX + 1);
    if flat > FLAT_PARAMETERS_MAX {
        slots.push(stored.address() as u64);
    } else {
        for parameter in parameters {
            flatten(&parameter.ty, &stored.bytes()[parameter.offset..], &mut slots);
        }
    }
    // What is more than one core value the host writes to memory.
    let in_memory = result.as_ref().filter(|ty| ty.flat > 1).map(|ty| Block::new(ctx, ty.size));
    let mut in_memory = in_memory.transpose()?;
    if let Some(block) = &mut in_memory {
        slots.push(block.address() as u64);
    }
    slots.resize(slots.len().max(1), 0);
    // SAFETY: the slots are as many as the function's core values, and all memory that they refer to lives through
    // the call.
    unsafe { call_capability(number, slots.as_mut_ptr()) };
    let Some(ty) = result else { return Ok(Value::new_undefined(ctx.clone())) };
    // One core value lies in its slot as it would in memory: both are little-endian, and it is at the beginning.
    let slot = slots[0].to_le_bytes();
    let bytes = in_memory.as_ref().map_or(&slot[..], Block::bytes);
    let outcome = lift::lift_result(ctx, id, ty, bytes);
    lift::free(ty, bytes);
    outcome
}
