//! Scripted lorries: faulty trackers, and the corrections of the first day.

use std::borrow::Cow;

use watchtower_model::{Heading, Millis, Place, Speed};

use super::places::{ESSLIBRA, ESSLIBRA_REDRAWN, PLACES};
use super::{HOUR_MS, MIDNIGHT, MINUTE_MS, Simulator, geofences, vehicles};
use watchtower_core::events::{Event, Fix, Measured, PositionReport};

/// A fault of a lorry's tracker. The lorry's number decides which; small fleets lack some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrackerFault {
    /// Loses the network in the morning and uploads before noon.
    Late,
    /// Its receiver is inaccurate.
    Jittery,
    /// Never reports a speed.
    NoSpeed,
    /// Sometimes reports 655.35 km/h.
    WrongSpeed,
    /// Sends every position twice.
    Twice,
    /// Its clock is sometimes hours ahead.
    WrongClock,
}

impl TrackerFault {
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

/// Number of lorry T11985LA, whose tracker uploads late.
pub(super) const LATE_TRUCK: u32 = 3;
/// Begin of its silence.
pub(super) const SILENT_FROM: Millis = MIDNIGHT + 8 * HOUR_MS + 10 * MINUTE_MS;
/// End of its silence: the instant of the upload.
pub(super) const UPLOADS_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 6 * MINUTE_MS;

/// Lorry T12002LA: one of its positions is at 0, 0, is refused for that, and is withdrawn later.
const LOST_TRUCK: u32 = 20;
const FAR_OFF_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 18 * MINUTE_MS;
const WITHDRAWN_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 24 * MINUTE_MS;

/// Instant at which the ground of ESSLIBRA is redrawn, and the earlier instant from which the new ground is valid.
const REDRAWN_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 12 * MINUTE_MS;
const REDRAWN_FROM: Millis = MIDNIGHT + 8 * HOUR_MS;

/// Lorry T11988LA: assigned to another fleet, retroactively from the morning.
const LENT_TRUCK: u32 = 6;
const LENT_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 32 * MINUTE_MS;
const LENT_FROM: Millis = MIDNIGHT + 7 * HOUR_MS;

/// A change of the past.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Kind of the change.
    pub kind: CorrectionKind,
    /// Id of the vehicle or geofence concerned.
    pub subject: String,
    /// Its events, in order.
    pub events: Vec<Event<'static>>,
}

/// Kind of a [`Correction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorrectionKind {
    /// A tracker uploads positions that it kept.
    LateUpload,
    /// A geofence gets another shape, valid from some hours ago.
    Redrawn,
    /// A position is withdrawn.
    Withdrawn,
    /// A vehicle gets another fleet, valid from some hours ago.
    FleetChanged,
}

impl Simulator {
    /// Adds the scripted events of second `now`.
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

/// The position 0, 0: a receiver without satellites reports it.
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

/// A position event.
pub(super) fn position(id: &str, ts: Millis, received_at: Millis, fix: Fix<'static>) -> Event<'static> {
    let (vehicle_id, received_at) = (Cow::Owned(id.to_owned()), Some(received_at));
    Event::Position(PositionReport { vehicle_id, ts, received_at, fix })
}
