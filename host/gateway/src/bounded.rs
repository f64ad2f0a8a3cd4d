//! A map of bounded size that evicts the entries which were not used recently, so that clients cannot make it grow.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// A map of at most `2 * half` entries in two generations. New and used entries are young; when there are `half` of
/// those, they become the old ones, and the old ones before are evicted. So an entry is evicted only after `half`
/// others have been used since its last use: about what an LRU list does, without the list.
#[derive(Debug)]
pub(crate) struct BoundedMap<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash + Clone, V> BoundedMap<K, V> {
    pub(crate) fn new(half: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: half.max(1) }
    }

    /// The entry, which counts as used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key)?;
            self.insert(key.clone(), value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn clear(&mut self) {
        self.young = HashMap::new();
        self.old = HashMap::new();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let mut map = BoundedMap::new(10);
        map.insert(0, "kept");
        for key in 1..10_000 {
            map.insert(key, "passing");
            assert!(map.len() <= 20);
            assert_eq!(map.get(&0).map(|value| *value), Some("kept"));
        }
        assert_eq!(map.get(&1), None);
        map.clear();
        assert_eq!(map.len(), 0);
    }
}
