//! Vehicle events of the lorries: name, fleet, speed limit.

use std::borrow::Cow;
use std::sync::Arc;

use watchtower_model::{Millis, Speed, Vehicle};

use watchtower_core::events::{Event, VehicleChange};

const FLEETS: [&str; 3] = ["VPC", "Ibeshe Haulage", "Lagoon Lines"];
const MODELS: [&str; 5] = ["MACK 40FT", "DAF CF 40FT", "SINOTRUK HOWO 20FT", "MAN TGS 40FT", "MACK 20FT"];

/// The fleet that borrows a lorry.
pub(super) const LENT_TO: &str = "Lagoon Lines";

/// Id of a lorry; number 3 is T11985LA.
pub(super) fn id(truck: u32) -> String {
    format!("T{}LA", 11_982 + truck)
}

/// A vehicle event: name, limit, and the given fleet or else the initial one.
pub(super) fn metadata(truck: u32, fleet: Option<&str>, valid_from: Millis, received_at: Millis) -> Event<'static> {
    let of = |names: &[&'static str]| names[truck as usize % names.len()];
    Event::Vehicle(VehicleChange {
        vehicle_id: Cow::Owned(id(truck)),
        valid_from: Some(valid_from),
        received_at: Some(received_at),
        definition: Some(Arc::new(Vehicle {
            name: Some(of(&MODELS).to_owned()),
            fleet: Some(fleet.unwrap_or_else(|| of(&FLEETS)).to_owned()),
            speed_limit: if of(&MODELS).ends_with("20FT") { Speed::from_kmh(65.0) } else { Speed::NONE },
            offline_after_ms: None,
            attributes: None,
        })),
    })
}
