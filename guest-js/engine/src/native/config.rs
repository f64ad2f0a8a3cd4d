//! `env`: the values of the config capability.

use super::require;
use crate::bindings::elias::config::config::{self, Value as ConfigValue};
use crate::phase::Import;
use javy::quickjs::{Ctx, Function, IntoJs, Object, Result, Value};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("configKeys", Function::new(ctx.clone(), keys)?)?;
    native.set("configGet", Function::new(ctx, get)?)
}

fn keys(ctx: Ctx<'_>) -> Result<Vec<String>> {
    require(&ctx, Import::Config, "env")?;
    Ok(config::keys())
}

fn get<'js>(ctx: Ctx<'js>, key: String) -> Result<Value<'js>> {
    require(&ctx, Import::Config, "env")?;
    match config::get(&key) {
        None => Ok(Value::new_undefined(ctx)),
        Some(ConfigValue::Text(text)) => text.into_js(&ctx),
        Some(ConfigValue::Number(number)) => number.into_js(&ctx),
        Some(ConfigValue::Boolean(boolean)) => boolean.into_js(&ctx),
    }
}
