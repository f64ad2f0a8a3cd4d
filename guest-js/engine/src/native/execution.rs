//! What the host knows of the execution under way, for `ctx`.

use super::require;
use crate::bindings::elias::component::context;
use crate::phase::Import;
use javy::quickjs::{Ctx, Function, Object, Result};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("execution", Function::new(native.ctx().clone(), execution)?)
}

fn execution<'js>(ctx: Ctx<'js>) -> Result<Object<'js>> {
    require(&ctx, Import::Context, "ctx.executionId")?;
    let current = context::current();
    let object = Object::new(ctx)?;
    object.set("id", current.id)?;
    object.set("remainingMs", current.remaining_ms as f64)?;
    Ok(object)
}
