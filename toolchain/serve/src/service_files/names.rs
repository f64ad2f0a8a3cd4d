//! Names of workers, which are any text, as names of files.

use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use elias_nine_p::{FileError, FileResult};
use std::fmt::Write;

/// The name of a file for a text: `%`, `/` and control characters are percent-encoded, and so are all dots of `.` and
/// `..`.
pub(super) fn encode(text: &str) -> String {
    let is_dots = matches!(text, "." | "..");
    let mut name = String::with_capacity(text.len());
    for character in text.chars() {
        if is_dots || matches!(character, '%' | '/') || character.is_ascii_control() {
            // Writing to a text does not fail.
            let _ = write!(name, "%{:02X}", u32::from(character));
        } else {
            name.push(character);
        }
    }
    name
}

/// The text that the name of a file stands for.
///
/// # Errors
/// `ENOENT` for what no text is encoded as: a file has one name.
pub(super) fn decode(name: &str) -> FileResult<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut parts = name.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or_else(FileError::not_found)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| FileError::not_found())?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|text| encode(text) == name).ok_or_else(FileError::not_found)
}

/// The directory of a service: its component, with `@ENVIRONMENT` outside of production.
pub(super) fn of_service(service: &ServiceId) -> String {
    match service.environment {
        Environment::Production => service.component.to_string(),
        other => format!("{}@{other}", service.component),
    }
}

/// The service of a directory.
///
/// # Errors
/// `ENOENT` if there can be none.
pub(super) fn to_service(tenant: &TenantId, name: &str) -> FileResult<ServiceId> {
    let (component, environment) = match name.split_once('@') {
        None => (name, Environment::Production),
        Some((component, environment)) => {
            let environment = environment.parse().map_err(|_| FileError::not_found())?;
            if environment == Environment::Production {
                return Err(FileError::not_found());
            }
            (component, environment)
        }
    };
    let component: ComponentName = component.parse().map_err(|_| FileError::not_found())?;
    Ok(ServiceId { tenant: tenant.clone(), component, environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_a_name_of_its_own() {
        for (text, name) in [
            ("ada", "ada"),
            ("a/b", "a%2Fb"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            (".a", ".a"),
            ("...", "..."),
            ("\0\n", "%00%0A"),
            ("50%", "50%25"),
            ("%2F", "%252F"),
            ("é𝄞 ~", "é𝄞 ~"),
        ] {
            assert_eq!((encode(text).as_str(), decode(name).as_deref()), (name, Ok(text)));
        }
        for name in [".", "..", "a/b", "%", "%2", "%2f", "%41", "%zz", "%+1", "%C3%A9", "%é", "\n"] {
            assert!(decode(name).is_err(), "{name}");
        }
    }

    #[test]
    fn production_has_no_suffix() {
        let tenant = TenantId::system();
        for name in ["shop", "shop@staging", "shop@dev"] {
            assert_eq!(of_service(&to_service(&tenant, name).expect(name)), name);
        }
        for name in ["", "Shop", "shop@production", "shop@", "@dev", "shop@dev@dev"] {
            assert!(to_service(&tenant, name).is_err(), "{name}");
        }
    }
}
