//! The modules of capabilities that an embedder adds: `example:geo/places`, as its WIT names it.

use super::plugin::is_installed;
use super::{failure, resolve_help};
use crate::capabilities::{Capabilities, NATIVE_MODULE};
use crate::diagnostic::{BuildError, Details};
use crate::paths::relative;
use rolldown::plugin::{HookLoadOutput, HookResolveIdArgs, HookResolveIdOutput};
use rolldown_common::side_effects::HookSideEffects;
use rolldown_common::{ModuleType, ResolvedExternal};
use std::path::Path;

/// The prefix of the identifiers of these modules.
const MODULE: &str = "\0elias:capability/";

/// The same as the bundler shows it.
pub(super) const SHOWN_MODULE: &str = "\\0elias:capability/";

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

/// Protocols of modules that are not interfaces.
const PROTOCOLS: [&str; 7] = ["bun", "data", "elias", "file", "jsr", "node", "npm"];

/// Whether a specifier has the form of an interface's name: `namespace:package/interface`, with a version or without.
fn names_interface(specifier: &str) -> bool {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let parts = specifier.split('@').next().and_then(|name| name.split_once(':'));
    parts.is_some_and(|(namespace, rest)| {
        !PROTOCOLS.contains(&namespace)
            && is_name(namespace)
            && rest.split_once('/').is_some_and(|(package, interface)| is_name(package) && is_name(interface))
    })
}

/// Why an import of the project names an interface that none of the capabilities has.
pub(super) fn absent(capabilities: &Capabilities, args: &HookResolveIdArgs<'_>, cwd: &Path) -> Option<BuildError> {
    let (specifier, importer) = (args.specifier, args.importer?);
    if !names_interface(specifier) || is_installed(importer) {
        return None;
    }
    let importer = Path::new(importer);
    let message = format!("cannot find the interface {specifier:?}, imported by {}", relative(importer, cwd));
    let names: Vec<String> = capabilities.names().map(str::to_owned).collect();
    let help = if names.is_empty() {
        "name the WIT package that has it: --capability FILE, or `capabilities` of [build] in elias.toml".to_owned()
    } else {
        match resolve_help::nearest(specifier, names.iter().filter_map(|name| Some(name.split('@').next()?.to_owned())))
        {
            Some(near) => format!("Did you mean `{near}`? There are {}.", names.join(", ")),
            None => format!("There are {}. --capability names further WIT packages.", names.join(", ")),
        }
    };
    let mut details = Details::new(message).help(help);
    details.location = failure::quoted(importer, specifier, cwd).map(|location| location.labelled("not found"));
    Some(BuildError::UnresolvedImport(Box::new(details)))
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
