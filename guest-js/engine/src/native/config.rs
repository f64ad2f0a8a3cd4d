//! `env`: the values of the config capability.

use super::require;
use crate::bindings::elias::config::config::{self, Value as ConfigValue};
use crate::build_report;
use crate::phase::{self, Import};
use javy::quickjs::{Ctx, Function, IntoJs, Object, Result, Value};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("configKeys", Function::new(ctx.clone(), keys)?)?;
    native.set("configGet", Function::new(ctx.clone(), get)?)?;
    native.set("environmentAtBuild", Function::new(ctx, at_build)?)
}

/// Whether there is no configuration yet because the top level runs during the build; that it was asked for is noted.
fn at_build(ctx: Ctx<'_>) -> bool {
    let building = phase::building();
    if building {
        build_report::environment_was_read(&ctx);
    }
    building
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
