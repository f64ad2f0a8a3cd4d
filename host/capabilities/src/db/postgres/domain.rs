//! Domains: types that are others, with constraints.

use tokio_postgres::types::{Kind, Type};

/// The type below its domains.
pub(super) fn base(declared: &Type) -> &Type {
    match declared.kind() {
        Kind::Domain(inner) => base(inner),
        _ => declared,
    }
}
