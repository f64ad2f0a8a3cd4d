//! The modules of capabilities that an embedder adds: `example:geo/places`, as its WIT names it.

use crate::capabilities::{Capabilities, NATIVE_MODULE};
use crate::diagnostic::BuildError;
use rolldown::plugin::{HookLoadOutput, HookResolveIdArgs, HookResolveIdOutput};
use rolldown_common::side_effects::HookSideEffects;
use rolldown_common::{ModuleType, ResolvedExternal};

/// What the identifiers of these modules begin with.
const MODULE: &str = "\0elias:capability/";

/// Where an import of one of them leads, or what one of them imports; none if it is neither.
pub(super) fn resolve(capabilities: &Capabilities, args: &HookResolveIdArgs<'_>) -> Option<HookResolveIdOutput> {
    let external = args.specifier == NATIVE_MODULE && args.importer.is_some_and(|from| from.starts_with(MODULE));
    let id = match external {
        true => NATIVE_MODULE.to_owned(),
        false => format!("{MODULE}{}", capabilities.find(args.specifier)?),
    };
    Some(HookResolveIdOutput {
        id: id.as_str().into(),
        external: external.then_some(ResolvedExternal::Bool(true)),
        side_effects: Some(HookSideEffects::False),
        ..HookResolveIdOutput::default()
    })
}

/// The source of one of them; none if it is none.
pub(super) fn load(capabilities: &Capabilities, id: &str) -> Option<Result<HookLoadOutput, BuildError>> {
    let source = capabilities.module(id.strip_prefix(MODULE)?);
    Some(source.map(|code| HookLoadOutput {
        code: code.into(),
        module_type: Some(ModuleType::Js),
        side_effects: Some(HookSideEffects::False),
        ..HookLoadOutput::default()
    }))
}
