//! The errors for components that are not loaded.

use crate::component::ComponentInfo;
use crate::error::Error;
use crate::grants::ConfigureError;
use elias_contract::ErrorCode;
use elias_contract::image::ImageError;
use elias_contract::layout::LayoutError;

/// Why a component does not get a capability, with the line that mends it.
pub(super) fn not_configured(
    component: &ComponentInfo,
    capability: &str,
    interface: &str,
    needed_by: Option<&str>,
    error: &ConfigureError,
) -> Error {
    let (code, message) = match error {
        ConfigureError::NotGranted => (
            ErrorCode::CapabilityDenied,
            format!(
                "{} imports {interface}{}, which it was not granted; to grant it, add this line to elias.toml: \
                 [capabilities.{capability}]",
                component.name,
                needed_by.map(|place| format!(" (for {place})")).unwrap_or_default()
            ),
        ),
        ConfigureError::Invalid(why) => {
            (ErrorCode::BadConfiguration, format!("[capabilities.{capability}] in elias.toml: {why}"))
        }
        ConfigureError::Unavailable(why) => (ErrorCode::CapabilityUnavailable, format!("{capability}: {why}")),
    };
    Error::new(code, message)
}

pub(super) fn bad_layout(error: LayoutError) -> Error {
    let code = match error {
        LayoutError::EngineMismatch { .. } => ErrorCode::EngineMismatch,
        _ => ErrorCode::BadComponent,
    };
    Error::new(code, error.to_string())
}

pub(super) fn bad_image(error: ImageError) -> Error {
    Error::new(ErrorCode::BadComponent, error.to_string())
}

pub(super) fn image_not_stored(error: &std::io::Error) -> Error {
    Error::new(ErrorCode::Internal, format!("the memory image of the component cannot be stored: {error}"))
}

pub(super) fn bad_component(error: wasmtime::Error) -> Error {
    Error::new(ErrorCode::BadComponent, format!("the component is not valid: {error:#}"))
}

/// The error for code that was compiled apart, by a program of another version.
pub(super) fn other_compiler(error: wasmtime::Error) -> Error {
    let message = format!("the compiler's code does not fit this host: {error:#}; use a compiler of the same version");
    Error::new(ErrorCode::Internal, message)
}
