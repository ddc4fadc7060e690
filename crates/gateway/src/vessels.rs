//! Names that vessels report (`vessel_names = true`): which of them become vehicle events.
//!
//! A vehicle event replaces all that is known of a vehicle, and a vessel repeats its name every six minutes. So a name
//! is passed on only if it is not the one that this process has appended last for the vessel, and never for a vessel
//! that the tables have in a fleet: its metadata are in other hands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tracing::debug;
use watchtower_core::events::{Event, json};
use watchtower_inputs::messages::Item;

use crate::Context;

/// Fleets that were read are used for so long.
const FRESH: Duration = Duration::from_secs(3);
/// Vessels that are remembered: more than there are with AIS.
const MAX_VESSELS: usize = 1_000_000;

type Fingerprint = [u8; 32];
type Fleets = Arc<HashMap<String, String>>;

/// The names that this process has appended.
#[derive(Debug, Default)]
pub(crate) struct Vessels {
    appended: Mutex<HashMap<String, Fingerprint>>,
    fleets: Mutex<Option<(Instant, Fleets)>>,
}

/// Names on their way to the log, to be remembered once they are in.
#[derive(Debug, Default)]
#[must_use = "names that are not remembered are appended again"]
pub(crate) struct NewNames(Vec<(String, Fingerprint)>);

impl Vessels {
    /// Remembers names that the log has acknowledged.
    pub(crate) fn remember(&self, NewNames(names): NewNames) {
        let mut appended = self.appended.lock().expect("nothing panics while it holds this");
        if appended.len() + names.len() > MAX_VESSELS {
            appended.clear();
        }
        appended.extend(names);
    }

    /// Whether a name is another than the one that was appended last.
    fn is_new(&self, vehicle_id: &str, fingerprint: &Fingerprint) -> bool {
        self.appended.lock().expect("nothing panics while it holds this").get(vehicle_id) != Some(fingerprint)
    }
}

impl Context {
    /// Removes names that are not to be passed on from the items of a message.
    pub(crate) async fn retain_names(&self, items: &mut Vec<Item>) -> NewNames {
        let name = |item: &Item| match &item.result {
            Ok(event @ Event::Vehicle(change)) => Some((change.vehicle_id.to_string(), fingerprint(event))),
            Ok(Event::Position(_) | Event::Geofence(_) | Event::Rule(_) | Event::Clock(_)) | Err(_) => None,
        };
        let is_new = |(id, fingerprint): &(String, Fingerprint)| self.vessels.is_new(id, fingerprint);
        if !items.iter().filter_map(name).any(|name| is_new(&name)) {
            items.retain(|item| name(item).is_none());
            return NewNames::default();
        }
        let fleets = self.fleets().await;
        let mut new = Vec::new();
        items.retain(|item| {
            let Some(found) = name(item) else { return true };
            // While fleets are not known no name is passed on: it comes again.
            let passes = is_new(&found) && fleets.as_ref().is_some_and(|fleets| !fleets.contains_key(&found.0));
            if passes {
                new.push(found);
            }
            passes
        });
        NewNames(new)
    }

    /// The fleets of vehicles, not older than [`FRESH`]; None if the store does not answer.
    async fn fleets(&self) -> Option<Fleets> {
        let held = self.vessels.fleets.lock().expect("nothing panics while it holds this").clone();
        if let Some((read_at, fleets)) = held
            && read_at.elapsed() < FRESH
        {
            return Some(fleets);
        }
        match self.accounts.store().fleets().await {
            Ok(fleets) => {
                let fleets = Arc::new(fleets);
                let held = Some((Instant::now(), Arc::clone(&fleets)));
                *self.vessels.fleets.lock().expect("nothing panics while it holds this") = held;
                Some(fleets)
            }
            Err(error) => {
                debug!(%error, "fleets cannot be read; names of vessels are left out");
                None
            }
        }
    }
}

/// Of all of an event but its times: a name that is repeated differs only in those.
fn fingerprint(event: &Event<'_>) -> Fingerprint {
    let mut event = event.clone();
    *event.received_at_mut() = None;
    if let Event::Vehicle(change) = &mut event {
        change.valid_from = None;
    }
    Sha256::digest(json::encode(&event)).into()
}
