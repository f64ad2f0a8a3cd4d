//! The SHA-256 of components, which is their name.

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ops::Range;

/// Beginnings that are remembered. There is one for each set of imports that the components of an engine have.
const BEGINNINGS_MAX: usize = 256;

/// Computes digests of components. The engine is half of a component's file, and the bytes up to its end are the same
/// for many components: the state of the hash after them is remembered.
#[derive(Default)]
pub(super) struct Digests {
    /// By the digest of what precedes the engine, and that of the engine.
    beginnings: Mutex<HashMap<(String, String), Sha256>>,
}

impl Digests {
    /// The SHA-256 of a component in hexadecimal, which carries the engine with this digest at this place, if any: its
    /// bytes there were found to have that digest.
    pub(super) fn of(&self, component: &[u8], engine: Option<&(String, Range<usize>)>) -> String {
        let Some((engine, place)) = engine else { return elias_contract::digest(component) };
        let key = (elias_contract::digest(&component[..place.start]), engine.clone());
        let known = self.beginnings.lock().get(&key).cloned();
        let mut hash = known.unwrap_or_else(|| {
            let hash = Sha256::new_with_prefix(&component[..place.end]);
            let mut beginnings = self.beginnings.lock();
            if beginnings.len() >= BEGINNINGS_MAX {
                beginnings.clear();
            }
            beginnings.insert(key, hash.clone());
            hash
        });
        hash.update(&component[place.end..]);
        elias_contract::hexadecimal(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_beginning_gives_the_same_digest() {
        let digests = Digests::default();
        for number in 0..3 * BEGINNINGS_MAX {
            // Every second one begins as the one before it.
            let (head, engine) = (format!("imports {}", number / 2), "E".repeat(100 + number % 7 / 6));
            let component = format!("{head}{engine}the rest {number}");
            let place = head.len()..head.len() + engine.len();
            let carried = (elias_contract::digest(engine.as_bytes()), place);
            let expected = elias_contract::digest(component.as_bytes());
            assert_eq!(digests.of(component.as_bytes(), Some(&carried)), expected);
            assert_eq!(digests.of(component.as_bytes(), None), expected);
            assert!(digests.beginnings.lock().len() <= BEGINNINGS_MAX);
        }
    }
}
