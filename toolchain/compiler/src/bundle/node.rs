//! Node.js's built-in modules: which of them are here, how a bundle gets at them, and what is said of the others.
//!
//! A built-in is a web module (`guest-js/web/src/node`), evaluated before the application and imported by its name
//! with `node:`. The project's own sources import it as it is, so that a name that it does not export is an error of
//! the build. Packages are lenient about each other's names and about modules that only some of their functions touch:
//! for them a built-in is a CommonJS module, and one that is not here throws where it is used.

use super::resolve_help;
use crate::web;
use rolldown::plugin::{
    HookLoadOutput, HookResolveIdArgs, HookResolveIdOutput, PluginContext, PluginContextResolveOptions,
};
use rolldown_common::side_effects::HookSideEffects;
use rolldown_common::{ImportKind, ModuleType, ResolvedExternal};
use std::path::Path;

/// The prefix of the identifiers of our own modules; no file has such a name.
const REQUIRED: &str = "\0elias:require/";
const IMPORTED: &str = "\0elias:import/";
const MISSING: &str = "\0elias:missing/";
const MISSING_HELPER: &str = "\0elias:missing";

/// Stands for a module that is not here: reading a member is harmless, calling one says what to do instead.
const MISSING_SOURCE: &str = r#"
const make = (path, help) => new Proxy(function () {}, {
  get(target, key) {
    if (typeof key === "symbol" || key === "__esModule" || key === "then" || key === "default") return undefined;
    // Other code may look at the properties that every function has.
    if (key in target && key !== "arguments" && key !== "caller") return target[key];
    return make(`${path}.${key}`, help);
  },
  apply() { throw refusal(path, help); },
  construct() { throw refusal(path, help); },
});
const refusal = (path, help) => Object.assign(
  new Error(`${path} is not available in a component. ${help}`),
  { code: "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM" },
);
export { make as "module.exports" };
"#;

/// Where an import of one of Node.js's modules leads; none if it is no such import, or the resolver shall say.
pub(super) async fn resolve(context: &PluginContext, args: &HookResolveIdArgs<'_>) -> Option<HookResolveIdOutput> {
    if args.specifier.starts_with("\0elias:") {
        return Some(internal(args.specifier.to_owned()));
    }
    let name = args.specifier.strip_prefix("node:").unwrap_or(args.specifier);
    let here = web::node_module(name);
    if !here && !resolve_help::is_missing_builtin(args.specifier) {
        return None;
    }
    let of_package = args.importer.is_some_and(|importer| importer.contains("/node_modules/"));
    // A package may say in its `browser` map what it takes in place of a built-in. A package that merely has the same
    // name as a built-in is meant only if Node has no built-in of that name.
    if name == args.specifier && args.importer.is_some_and(|importer| Path::new(importer).is_absolute()) {
        let options = PluginContextResolveOptions { import_kind: args.kind, ..PluginContextResolveOptions::default() };
        if let Ok(Ok(found)) = context.resolve(args.specifier, args.importer, Some(options)).await {
            let namesake = found.id.contains(&format!("/node_modules/{name}/"));
            let external = !matches!(found.external, ResolvedExternal::Bool(false));
            if !external && (!namesake || !here) {
                return None;
            }
        }
    }
    if !here {
        return of_package.then(|| internal(format!("{MISSING}{name}")));
    }
    if args.kind == ImportKind::Require {
        return Some(internal(format!("{REQUIRED}{name}")));
    }
    if of_package && args.kind == ImportKind::Import {
        return Some(internal(format!("{IMPORTED}{name}")));
    }
    Some(HookResolveIdOutput {
        id: format!("node:{name}").into(),
        external: Some(ResolvedExternal::Bool(true)),
        side_effects: Some(HookSideEffects::False),
        ..HookResolveIdOutput::default()
    })
}

/// The source of what [`resolve`] made up.
pub(super) fn load(id: &str) -> Option<HookLoadOutput> {
    let code = if let Some(name) = id.strip_prefix(REQUIRED) {
        // The name by which the bundler, as Node.js, hands out what `require` of an ES module gives.
        format!("import builtin from \"node:{name}\";\nexport {{ builtin as \"module.exports\" }};\n")
    } else if let Some(name) = id.strip_prefix(IMPORTED) {
        format!("module.exports = require(\"{REQUIRED}{name}\");\n").replace('\0', "\\0")
    } else if let Some(name) = id.strip_prefix(MISSING) {
        let help = serde_json::Value::from(resolve_help::instead_of(name).unwrap_or_default());
        let helper = MISSING_HELPER.replace('\0', "\\0");
        format!("module.exports = require(\"{helper}\")(\"{name}\", {help});\n")
    } else if id == MISSING_HELPER {
        MISSING_SOURCE.to_owned()
    } else {
        return None;
    };
    Some(HookLoadOutput {
        code: code.into(),
        module_type: Some(ModuleType::Js),
        side_effects: Some(HookSideEffects::False),
        ..HookLoadOutput::default()
    })
}

pub(super) fn internal(id: String) -> HookResolveIdOutput {
    HookResolveIdOutput { id: id.into(), side_effects: Some(HookSideEffects::False), ..HookResolveIdOutput::default() }
}
