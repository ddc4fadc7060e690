//! How many vehicles each source may name.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

/// Digests of the vehicles that each source has named since this process started.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    hasher: RandomState,
    named: Mutex<HashMap<String, HashSet<u64>>>,
}

impl Ids {
    /// Whether a source that may name `most` vehicles may name this one; it counts as named then.
    pub(crate) fn admit(&self, source: &str, vehicle_id: &str, most: usize) -> bool {
        let digest = self.hasher.hash_one(vehicle_id);
        let mut named = self.named.lock().expect("nothing panics while it holds this");
        if !named.contains_key(source) {
            named.insert(source.to_owned(), HashSet::new());
        }
        let theirs = named.get_mut(source).expect("it was inserted above");
        theirs.contains(&digest) || theirs.len() < most && theirs.insert(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_so_many_vehicles_and_no_more() {
        let ids = Ids::default();
        assert!(ids.admit("a", "T1", 2) && ids.admit("a", "T2", 2) && ids.admit("a", "T1", 2));
        assert!(!ids.admit("a", "T3", 2), "one too many");
        assert!(ids.admit("a", "T2", 2) && ids.admit("b", "T3", 2));
    }
}
