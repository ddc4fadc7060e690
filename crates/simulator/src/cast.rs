//! Who is special, and what happens on the first day at what time.

use std::borrow::Cow;

use watchtower_model::{Heading, Millis, Place, Speed};

use super::places::{ESSLIBRA, ESSLIBRA_REDRAWN, PLACES};
use super::tracker::position;
use super::{HOUR_MS, MIDNIGHT, MINUTE_MS, Simulator, geofences, vehicles};
use watchtower_core::events::{Event, Fix, Measured};

/// What is wrong with a lorry's tracker. The number of the lorry says whose; a small fleet lacks some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// Loses the network in the morning and uploads before noon.
    Late,
    /// Its receiver is bad.
    Jittery,
    /// It never says how fast it is.
    NoSpeed,
    /// Sometimes it says 655.35 km/h.
    WrongSpeed,
    /// It sends everything twice.
    Twice,
    /// Sometimes its clock is hours ahead.
    WrongClock,
}

impl Quirk {
    pub(super) fn of(truck: u32) -> Option<Self> {
        match truck {
            LATE_TRUCK => Some(Self::Late),
            5 => Some(Self::Jittery),
            12 => Some(Self::NoSpeed),
            17 => Some(Self::WrongSpeed),
            29 => Some(Self::Twice),
            31 => Some(Self::WrongClock),
            _ => None,
        }
    }
}

/// T11985LA.
pub(super) const LATE_TRUCK: u32 = 3;
/// Its tracker is silent from then ..
pub(super) const SILENT_FROM: Millis = MIDNIGHT + 8 * HOUR_MS + 10 * MINUTE_MS;
/// .. until then.
pub(super) const UPLOADS_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 6 * MINUTE_MS;

/// T12002LA: its receiver is far off once.
const LOST_TRUCK: u32 = 20;
const FAR_OFF_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 18 * MINUTE_MS;
const WITHDRAWN_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 24 * MINUTE_MS;

/// When the ground of ESSLIBRA is redrawn, and from when on it is meant to hold.
const REDRAWN_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 12 * MINUTE_MS;
const REDRAWN_FROM: Millis = MIDNIGHT + 8 * HOUR_MS;

/// T11988LA: drives for another fleet, since the morning.
const LENT_TRUCK: u32 = 6;
const LENT_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 32 * MINUTE_MS;
const LENT_FROM: Millis = MIDNIGHT + 7 * HOUR_MS;

/// Something that changes the past.
#[derive(Clone, Debug)]
pub struct Correction {
    /// What happened.
    pub kind: CorrectionKind,
    /// Whose past it is: a vehicle's id, or a geofence's.
    pub subject: String,
    /// What is said about it, in order.
    pub events: Vec<Event<'static>>,
}

/// What changes the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorrectionKind {
    /// A tracker uploads what it kept.
    LateUpload,
    /// A geofence is another one, since some hours ago.
    Redrawn,
    /// A position is withdrawn.
    Withdrawn,
    /// A vehicle belongs to another fleet, since some hours ago.
    FleetChanged,
}

impl Simulator {
    /// What happens at `now` besides what trackers say.
    pub(super) fn play(&mut self, now: Millis, events: &mut Vec<Event<'static>>, corrections: &mut Vec<Correction>) {
        let id = |truck: u32| (truck < self.vehicles()).then(|| vehicles::id(truck));
        match now {
            FAR_OFF_AT => events.extend(id(LOST_TRUCK).map(|id| far_off(&id))),
            WITHDRAWN_AT => corrections.extend(id(LOST_TRUCK).map(|id| Correction {
                kind: CorrectionKind::Withdrawn,
                events: vec![position(&id, FAR_OFF_AT, WITHDRAWN_AT, Fix::Withdrawn)],
                subject: id,
            })),
            REDRAWN_AT => corrections.push(Correction {
                kind: CorrectionKind::Redrawn,
                subject: PLACES[ESSLIBRA].id.to_owned(),
                events: vec![geofences::place(&PLACES[ESSLIBRA], ESSLIBRA_REDRAWN, REDRAWN_FROM, REDRAWN_AT)],
            }),
            LENT_AT => corrections.extend(id(LENT_TRUCK).map(|id| Correction {
                kind: CorrectionKind::FleetChanged,
                events: vec![vehicles::metadata(LENT_TRUCK, Some(vehicles::LENT_TO), LENT_FROM, LENT_AT)],
                subject: id,
            })),
            _ => {}
        }
    }
}

/// A receiver without satellites says that it is where the equator meets Greenwich.
fn far_off(id: &str) -> Event<'static> {
    let measured = Measured {
        place: Place::from_degrees(0.0, 0.0),
        speed: Speed::from_kmh(0.0),
        heading: Heading::NONE,
        accuracy_m: None,
        altitude_m: None,
        ignition: Some(true),
        attributes: Some(Cow::Borrowed(r#"{"satellites":0}"#)),
    };
    position(id, FAR_OFF_AT, FAR_OFF_AT, Fix::At(measured))
}
