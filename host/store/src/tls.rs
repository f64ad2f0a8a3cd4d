//! The TLS parameters in the URL of a PostgreSQL.

use crate::error::{Error, Result};
use elias_api::Code;

/// The names that the driver takes for the two parameters.
const MODES: [&str; 2] = ["sslmode", "ssl-mode"];
const ROOTS: [&str; 3] = ["sslrootcert", "ssl-root-cert", "ssl-ca"];

/// How far a server can be trusted.
const KNOWN: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Refuses a URL with a mode that there is not, or one that names an authority and a mode in which nobody would look
/// at it: libpq takes `require` for `verify-ca` then, the driver does not.
///
/// # Errors
/// `bad-input`.
pub(super) fn check(url: &str) -> Result<()> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let value = |names: &[&str]| {
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(name, _)| names.contains(name)).map(|(_, value)| value.to_ascii_lowercase()).next_back()
    };
    let mode = value(&MODES);
    if mode.as_ref().is_some_and(|mode| !KNOWN.contains(&mode.as_str())) {
        return Err(Error::new(
            Code::BadInput,
            format!("the store's URL: sslmode must be one of {}", KNOWN.join(", ")),
        ));
    }
    if value(&ROOTS).is_some() && mode.is_none_or(|mode| mode != "verify-full" && mode != "verify-ca") {
        let message =
            "the store's URL names sslrootcert, which is looked at with sslmode=verify-full alone (or verify-ca)";
        return Err(Error::new(Code::BadInput, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_nobody_would_look_at_is_told() {
        for (query, good) in [
            ("", true),
            ("?sslmode=require", true),
            ("?sslmode=verify-full&sslrootcert=a", true),
            ("?sslrootcert=a&ssl-mode=VERIFY-CA", true),
            ("?sslmode=perhaps", false),
            ("?sslrootcert=a", false),
            ("?sslmode=require&sslrootcert=a", false),
            ("?sslmode=verify-full&sslmode=prefer&ssl-ca=a", false),
        ] {
            assert_eq!(check(&format!("postgres://elias@db/elias{query}")).is_ok(), good, "{query}");
        }
    }
}
