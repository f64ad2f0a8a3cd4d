//! The part of WIT that JavaScript can use.

use super::Capabilities;
use crate::diagnostic::{BuildError, Details};
use wit_parser::{Function, FunctionKind, Span, Type, TypeDefKind};

/// The message for all that is refused.
const SUPPORTED: &str = "functions of numbers, bool, char, string, list, option, result, tuple, record, variant, enum \
                         and flags are supported; resources, streams, futures, maps, lists of a fixed length and \
                         `async func` are not";

/// Refuses a function that uses anything else.
///
/// # Errors
/// [`BuildError::UnsupportedWit`] with its place.
pub(super) fn check(capabilities: &Capabilities, function: &Function) -> Result<(), BuildError> {
    let name = &function.name;
    let refuse = |what: &str, span: Span| {
        let details = Details::new(format!("`{name}` {what}, which JavaScript cannot be given")).help(SUPPORTED);
        Err(BuildError::UnsupportedWit(Box::new(capabilities.at(details, span))))
    };
    match function.kind {
        FunctionKind::Freestanding => {}
        FunctionKind::AsyncFreestanding => {
            let details = Details::new(format!("`{name}` is an `async func`, which JavaScript cannot be given"));
            let help = "write `func`: what the host does for it may wait all the same";
            let details = capabilities.at(details.help(help), function.span);
            return Err(BuildError::UnsupportedWit(Box::new(details)));
        }
        FunctionKind::Getter | FunctionKind::Setter => return refuse("is a property", function.span),
        _ => return refuse("belongs to a resource", function.span),
    }
    let parameters = function.params.iter().map(|parameter| (&parameter.ty, parameter.span));
    for (ty, span) in parameters.chain(function.result.iter().map(|ty| (ty, function.span))) {
        if let Some((what, place)) = unsupported(capabilities, ty) {
            return refuse(&format!("has {what}"), place.filter(Span::is_known).unwrap_or(span));
        }
    }
    Ok(())
}

/// The unsupported part of a type, and where it is defined.
fn unsupported(capabilities: &Capabilities, ty: &Type) -> Option<(&'static str, Option<Span>)> {
    let Type::Id(id) = ty else {
        return matches!(ty, Type::ErrorContext).then_some(("an error-context", None));
    };
    let definition = &capabilities.resolve.types[*id];
    let inner = |ty: &Type| unsupported(capabilities, ty);
    let own = definition.name.is_some().then_some(definition.span);
    let found = match &definition.kind {
        TypeDefKind::Record(record) => record.fields.iter().find_map(|field| inner(&field.ty)),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().find_map(inner),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty.as_ref()).find_map(inner),
        TypeDefKind::Option(ty) | TypeDefKind::List(ty) | TypeDefKind::Type(ty) => inner(ty),
        TypeDefKind::Result(result) => [&result.ok, &result.err].into_iter().flatten().find_map(inner),
        TypeDefKind::Enum(_) | TypeDefKind::Flags(_) => None,
        TypeDefKind::Resource | TypeDefKind::Handle(_) => Some(("a resource", own)),
        TypeDefKind::Map(..) => Some(("a map", own)),
        TypeDefKind::FixedLengthList(..) => Some(("a list of a fixed length", own)),
        TypeDefKind::Future(_) => Some(("a future", own)),
        TypeDefKind::Stream(_) => Some(("a stream", own)),
        TypeDefKind::Unknown => Some(("an unknown type", own)),
    };
    found.map(|(what, place)| (what, place.or(own)))
}
