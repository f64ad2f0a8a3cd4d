//! The interfaces that a component imports: the capabilities that provide them, and those that no capability provides.

use crate::capability::ErasedCapability;
use crate::error::Error;
use crate::pricing::HostFunction;
use elias_contract::ErrorCode;
use elias_contract::manifest::Manifest;
use std::sync::Arc;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// A capability that a component imports.
pub(super) struct ImportedCapability {
    pub(super) capability: Arc<dyn ErasedCapability>,
    /// The first interface of it that the component imports, without its version.
    pub(super) interface: String,
}

/// The capabilities that a component imports.
pub(super) fn imported_capabilities(
    component: &Component,
    capabilities: &[Arc<dyn ErasedCapability>],
) -> Vec<ImportedCapability> {
    let ty = component.component_type();
    let mut imported: Vec<ImportedCapability> = Vec::new();
    for import in ty.imports(component.engine()) {
        let interface = import.0.split('@').next().unwrap_or_default();
        let capability = capabilities.iter().find(|capability| capability.interfaces().contains(&interface));
        if let Some(capability) = capability
            && !imported.iter().any(|other| Arc::ptr_eq(&other.capability, capability))
        {
            let capability = Arc::clone(capability);
            imported.push(ImportedCapability { capability, interface: interface.to_owned() });
        }
    }
    imported
}

/// Why a component cannot be linked: the interfaces that none of `functions` is of, each with its first use, or else
/// what does not fit.
pub(super) fn foreign_import(
    component: &Component,
    functions: &[HostFunction],
    manifest: Option<&Manifest>,
    error: &wasmtime::Error,
) -> Error {
    let interface_of = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    let given = |interface: &str| {
        let mut functions = functions.iter().filter_map(|function| function.name().split_once('#'));
        functions.any(|(name, _)| interface_of(name) == interface)
    };
    let mut absent = Vec::new();
    for (name, import) in component.component_type().imports(component.engine()) {
        let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
        let has_functions =
            instance.exports(component.engine()).any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
        let interface = interface_of(name);
        if has_functions && !given(&interface) {
            let place = manifest.and_then(|manifest| manifest.first_use_of(&interface));
            absent.push(format!("{name}{}", place.map(|place| format!(" (for {place})")).unwrap_or_default()));
        }
    }
    let message = if absent.is_empty() {
        format!(
            "the component needs what this host does not provide: {error:#}; give the host a capability for it, or \
             build the component without it"
        )
    } else {
        format!(
            "the component imports {}, which no capability of this host gives; give the host a capability for it, \
             or build the component without it",
            absent.join(", ")
        )
    };
    Error::new(ErrorCode::ForeignImport, message)
}
