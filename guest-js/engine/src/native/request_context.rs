//! The present execution and its caller, as the host knows them: the values of `ctx`.

use super::require;
use crate::bindings::elias::component::context;
use crate::phase::Import;
use javy::quickjs::{Ctx, Function, Object, Result};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("execution", Function::new(native.ctx().clone(), execution)?)?;
    native.set("caller", Function::new(native.ctx().clone(), caller)?)?;
    native.set("clientAddress", Function::new(native.ctx().clone(), client_address)?)
}

fn client_address(ctx: Ctx<'_>) -> Result<Option<String>> {
    require(&ctx, Import::Context, "ctx.clientAddress")?;
    Ok(context::client_address())
}

fn caller<'js>(ctx: Ctx<'js>) -> Result<Object<'js>> {
    require(&ctx, Import::Context, "ctx.tenantId")?;
    let caller = context::current_caller();
    let object = Object::new(ctx)?;
    object.set("tenantId", caller.tenant_id)?;
    object.set("userId", caller.user_id)?;
    object.set("organizationId", caller.organization_id)?;
    object.set("claims", caller.claims)?;
    Ok(object)
}

fn execution<'js>(ctx: Ctx<'js>) -> Result<Object<'js>> {
    require(&ctx, Import::Context, "ctx.executionId")?;
    let current = context::current();
    let object = Object::new(ctx)?;
    object.set("id", current.id)?;
    object.set("remainingMs", current.remaining_ms as f64)?;
    Ok(object)
}
