//! Modules of the npm package that are bundled with the project, and so are not web modules. `elias/drizzle` and
//! `elias/kysely` let a query builder of the project run over `db`, with the project's own copy of it; `elias/clients`
//! is the worker's end of `elias/client`, with the encoding `elias/clone`.

use rolldown::plugin::{
    HookLoadOutput, HookResolveIdArgs, HookResolveIdOutput, PluginContext, PluginContextResolveOptions,
};
use rolldown_common::ModuleType;
use rolldown_common::side_effects::HookSideEffects;

/// The prefix of the identifiers of these modules.
const ADAPTER: &str = "\0elias:adapter/";

/// Specifier and source of each.
const ADAPTERS: [(&str, &str); 4] = [
    ("elias/clients", include_str!("../../../../guest-js/sdk/client/clients.js")),
    ("elias/clone", include_str!("../../../../guest-js/sdk/client/clone.js")),
    ("elias/drizzle", include_str!("../../../../guest-js/sdk/adapters/drizzle.js")),
    ("elias/kysely", include_str!("../../../../guest-js/sdk/adapters/kysely.js")),
];

/// Whether a module is one of these.
pub(super) fn is_adapter(specifier: &str) -> bool {
    ADAPTERS.iter().any(|(name, _)| *name == specifier)
}

/// Where an import of one of them leads, or what one of them imports: a package as the project would find it.
pub(super) async fn resolve(context: &PluginContext, args: &HookResolveIdArgs<'_>) -> Option<HookResolveIdOutput> {
    let specifier =
        args.specifier.strip_prefix('@').filter(|name| name.starts_with("elias/")).unwrap_or(args.specifier);
    if is_adapter(specifier) {
        let id = format!("{ADAPTER}{specifier}");
        return Some(HookResolveIdOutput {
            id: id.as_str().into(),
            side_effects: Some(HookSideEffects::False),
            ..HookResolveIdOutput::default()
        });
    }
    if !args.importer.is_some_and(|importer| importer.starts_with(ADAPTER)) || specifier.starts_with("elias/") {
        return None;
    }
    let from = context.cwd().join("package.json");
    let options = PluginContextResolveOptions { import_kind: args.kind, ..PluginContextResolveOptions::default() };
    match context.resolve(args.specifier, from.to_str(), Some(options)).await {
        Ok(Ok(found)) => Some(HookResolveIdOutput { id: found.id.as_str().into(), ..HookResolveIdOutput::default() }),
        _ => None,
    }
}

/// The source of an adapter.
pub(super) fn load(id: &str) -> Option<HookLoadOutput> {
    let specifier = id.strip_prefix(ADAPTER)?;
    let (_, source) = ADAPTERS.iter().find(|(name, _)| *name == specifier)?;
    Some(HookLoadOutput {
        code: (*source).into(),
        module_type: Some(ModuleType::Js),
        side_effects: Some(HookSideEffects::False),
        ..HookLoadOutput::default()
    })
}
