//! Prices of commands, in fuel.

use super::contract::{Command, KEYS_MAX};
use elias_host::capability::pricing::{Size, size};

/// Units of fuel of a command, and of each key of it: in the host's memory it is done at once, and for Redis it is
/// written out.
pub(super) const COMMAND: u64 = 10_000;
pub(super) const KEY: u64 = 900;

/// The keys of a command, as a size by which it is paid.
pub(super) fn keys<P: 'static>(command: fn(&P) -> &Command) -> Size<P> {
    let keys = move |arguments: &P| match command(arguments) {
        Command::GetMany(keys) => keys.0.len() as u64,
        _ => 1,
    };
    size("keys", keys).at_most(KEYS_MAX as u64)
}
