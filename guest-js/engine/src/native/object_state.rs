//! The internal state of objects, for `console.log` and `util.inspect`: the state and result of a promise, the target
//! of a proxy, and the rest of a Map's or Set's iterator.

use super::raw::{self, Context, RawValue};
use javy::quickjs::{Array, Ctx, Function, Object, Result, Value};

unsafe extern "C" {
    /// Of `quickjs/values.c`.
    fn elias_iterator_rest(ctx: Context, value: RawValue) -> RawValue;
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("promiseState", Function::new(native.ctx().clone(), promise_state)?)?;
    native.set("proxyTarget", Function::new(native.ctx().clone(), proxy_target)?)?;
    native.set("iteratorRest", Function::new(native.ctx().clone(), iterator_rest)?)
}

/// Kind (`Map` or `Set`), whether it gives entries, and the items that an iterator of a Map or a Set has still to give,
/// as an array; undefined for any other value.
fn iterator_rest<'js>(ctx: Ctx<'js>, value: Value<'js>) -> Result<Value<'js>> {
    // SAFETY: the value lives through the call, which returns a new reference.
    unsafe { raw::owned(&ctx, elias_iterator_rest(ctx.as_raw().as_ptr(), value.as_raw())) }
}

/// The name of a promise's state and, once it is settled, its value or reason. A rejection that nothing handles stays
/// one.
fn promise_state<'js>(ctx: Ctx<'js>, value: Value<'js>) -> Result<Array<'js>> {
    let state = Array::new(ctx.clone())?;
    match value.as_promise().and_then(|promise| promise.result::<Value<'js>>()) {
        None => state.set(0, "pending")?,
        Some(Ok(result)) => {
            state.set(0, "fulfilled")?;
            state.set(1, result)?;
        }
        Some(Err(_)) => {
            state.set(0, "rejected")?;
            state.set(1, ctx.catch())?;
        }
    }
    Ok(state)
}

/// Target and handler of a proxy, `null` as the target of a revoked one; undefined for all that is no proxy.
fn proxy_target<'js>(ctx: Ctx<'js>, value: Value<'js>) -> Result<Option<Array<'js>>> {
    let Some(proxy) = value.as_proxy() else { return Ok(None) };
    let parts = Array::new(ctx.clone())?;
    let Ok(target) = proxy.target() else {
        drop(ctx.catch());
        parts.set(0, Value::new_null(ctx))?;
        return Ok(Some(parts));
    };
    parts.set(0, target)?;
    parts.set(1, proxy.handler()?)?;
    Ok(Some(parts))
}
