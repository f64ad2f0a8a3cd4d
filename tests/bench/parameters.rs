//! Sizes of measurements, from the environment.

/// A number from the environment, such as `JOBS=1000000`.
pub(crate) fn number_of(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
        Err(_) => default,
    }
}
