//! Which items of a feed are new: a feed that is fetched again has most of its records as they were.
//!
//! An item is known if one that is equal in all but the arrival was in the last fetch that the log has acknowledged. A
//! corrected record with the same time is not equal, so it is new. The memory holds 16 bytes an item of one fetch, in
//! one process; without it (after a restart) everything is new once, which changes no table: same key, same content.

use std::collections::HashSet;

use rustc_hash::FxBuildHasher;
use sha2::{Digest, Sha256};
use watchtower_core::events::json;

use super::message::Item;

/// The first half of a SHA-256.
type Fingerprint = [u8; 16];

/// Items of the last fetch that the log has acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Unchanged {
    known: HashSet<Fingerprint, FxBuildHasher>,
}

/// What [`Unchanged::acknowledge`] remembers once a fetch is in the log.
#[derive(Clone, Debug)]
#[must_use = "a fetch that is not acknowledged is new again"]
pub struct Fetched {
    items: HashSet<Fingerprint, FxBuildHasher>,
}

impl Unchanged {
    /// Removes from a fetch what the last one had. Nothing is remembered yet.
    pub fn retain_new(&self, items: &mut Vec<Item>) -> Fetched {
        let mut all = HashSet::default();
        items.retain(|item| {
            let fingerprint = fingerprint(item);
            all.insert(fingerprint);
            !self.known.contains(&fingerprint)
        });
        Fetched { items: all }
    }

    /// Remembers a fetch whose new items the log has acknowledged.
    pub fn acknowledge(&mut self, fetched: Fetched) {
        self.known = fetched.items;
    }
}

/// Of all of an item but its place and its arrival.
fn fingerprint(item: &Item) -> Fingerprint {
    let digest = match &item.result {
        Ok(event) => {
            let mut event = event.clone();
            *event.received_at_mut() = None;
            Sha256::digest(json::encode(&event))
        }
        Err(refused) => Sha256::new_with_prefix(refused.reason.as_str()).chain_update(&refused.bytes).finalize(),
    };
    let (half, _) = digest.split_first_chunk().expect("a SHA-256 has 32 bytes");
    *half
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::messages::{Format, Message, Options, read};

    fn fetched(body: &str, received_at: i64) -> Vec<Item> {
        read(Format::Native, &Message::from_body(body.as_bytes(), received_at), &Options::default()).unwrap()
    }

    const A: &str = r#"{"type":"position","vehicle_id":"A","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44}"#;
    const B: &str = r#"{"type":"position","vehicle_id":"B","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":96.44}"#;

    #[test]
    fn only_what_has_changed_is_new_once_the_log_has_the_rest() {
        let mut unchanged = Unchanged::default();
        let mut indices = |body: &str, received_at: i64, acknowledged: bool| {
            let mut items = fetched(body, received_at);
            let fetched = unchanged.retain_new(&mut items);
            if acknowledged {
                unchanged.acknowledge(fetched);
            }
            items.iter().map(|item| item.index).collect::<Vec<_>>()
        };
        let both = format!("[{A},{B}]");
        assert_eq!(indices(&both, 1, false), [0, 1]);
        assert_eq!(indices(&both, 2, true), [0, 1], "the log has not acknowledged the first fetch");
        assert_eq!(indices(&both, 3, true), [0; 0]);
        let corrected = format!("[{B},{}]", A.replace("3.36", "3.37"));
        assert_eq!(indices(&corrected, 4, true), [1], "the same time, another place");
        assert_eq!(indices(&both, 5, true), [0], "and back");
    }
}
