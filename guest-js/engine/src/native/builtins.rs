//! The modules of Node.js that are in the component, for those that ask for one by its name when they run:
//! `process.getBuiltinModule` and the `require` of node:module.

use javy::quickjs::{Ctx, Function, Object, Persistent, Promise, Result, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How the engine names the modules that stand for those of Node.js; see [`crate::web_modules`].
const PREFIX: &str = "elias:web/node/";

struct Builtins(RefCell<BTreeMap<String, Persistent<Value<'static>>>>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Builtins {}

static BUILTINS: Builtins = Builtins(RefCell::new(BTreeMap::new()));

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("builtinModule", Function::new(native.ctx().clone(), get)?)
}

/// Keeps what a web module that was loaded exports as its default, if it stands for a module of Node.js.
pub(crate) fn offer(name: &str, imported: &Promise<'_>) {
    let Some(builtin) = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(".js")) else { return };
    let ctx = imported.ctx();
    let default = imported
        .result::<Object<'_>>()
        .and_then(Result::ok)
        .and_then(|exports| exports.get::<_, Value<'_>>("default").ok());
    match default {
        Some(default) if !default.is_undefined() => {
            BUILTINS.0.borrow_mut().insert(builtin.to_owned(), Persistent::save(ctx, default));
        }
        _ => drop(ctx.catch()), // one of the parts that a module is made of
    }
}

/// The module with that name, without `node:`; undefined if it is not in the component.
fn get(ctx: Ctx<'_>, name: String) -> Result<Value<'_>> {
    match BUILTINS.0.borrow().get(&name).cloned() {
        Some(module) => module.restore(&ctx),
        None => Ok(Value::new_undefined(ctx)),
    }
}
