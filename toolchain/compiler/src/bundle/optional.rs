//! Packages and built-ins that packages import and can do without.

use super::node::internal;
use rolldown::plugin::{
    HookLoadOutput, HookResolveIdArgs, HookResolveIdOutput, PluginContext, PluginContextResolveOptions,
};
use rolldown_common::side_effects::HookSideEffects;
use rolldown_common::{ImportKind, ModuleType};
use std::path::Path;

/// The prefix of the identifiers of modules that a package imports with `import()` and that are not installed.
const ABSENT: &str = "\0elias:absent/";

/// The modules that database drivers with a build for workers find.
const NO_SOCKETS: &str = "Sockets are not available in a component. Use the global `fetch` for HTTP, and `db` or \
    `cache` of the package `elias` for data.";

/// Files whose build for browsers needs a DOM, and whose other build needs nothing: in which folder they are asked
/// for, how, and what stands in.
const WITHOUT_DOM: [(&str, &str, &str); 1] =
    [("/node_modules/@aws-sdk/xml-builder/dist-es", "./xml-parser", "xml-parser.js")];

/// Where an import of a package leads that its own `package.json` does not say well.
pub(super) async fn resolve(context: &PluginContext, args: &HookResolveIdArgs<'_>) -> Option<HookResolveIdOutput> {
    let importer = args.importer.filter(|importer| importer.contains("/node_modules/"))?;
    let folder = Path::new(importer).parent()?;
    let other =
        WITHOUT_DOM.iter().find(|(within, asked, _)| *asked == args.specifier && folder.ends_with(&within[1..]));
    if let Some((_, _, file)) = other {
        let id = folder.join(file).to_str()?.to_owned();
        return Some(HookResolveIdOutput { id: id.into(), ..HookResolveIdOutput::default() });
    }
    // As with a `require` in a `try`: the package sees that it is not there, and goes on without it.
    let named = !args.specifier.starts_with(['.', '/', '#', '\0']) && !args.specifier.contains("://");
    if args.kind != ImportKind::DynamicImport || !named || args.specifier.starts_with("data:") {
        return None;
    }
    let options = PluginContextResolveOptions { import_kind: args.kind, ..PluginContextResolveOptions::default() };
    match context.resolve(args.specifier, args.importer, Some(options)).await {
        Ok(Err(_)) => Some(HookResolveIdOutput {
            side_effects: Some(HookSideEffects::True),
            ..internal(format!("{ABSENT}{}", args.specifier))
        }),
        _ => None,
    }
}

/// The source of what [`resolve`] made up.
pub(super) fn load(id: &str) -> Option<HookLoadOutput> {
    let name = id.strip_prefix(ABSENT)?;
    let (code, message) = match name.split_once(':') {
        Some(("cloudflare", "sockets")) => ("ERR_FEATURE_UNAVAILABLE_ON_PLATFORM", NO_SOCKETS.to_owned()),
        _ => ("ERR_MODULE_NOT_FOUND", format!("Cannot find package '{name}'")),
    };
    let message = serde_json::Value::from(message);
    let code = format!("throw Object.assign(new Error({message}), {{ code: \"{code}\" }});\n");
    Some(HookLoadOutput {
        code: code.into(),
        module_type: Some(ModuleType::Js),
        side_effects: Some(HookSideEffects::True),
        ..HookLoadOutput::default()
    })
}
