//! Scripted lorries: faulty trackers, and the corrections of the first day.

use std::borrow::Cow;

use watchtower_model::{Heading, Millis, Place, Speed};

use super::geodesy::Offset;
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

/// Lorry T12002LA, whose receiver loses its satellites: it reports 0, 0, which is refused; then the place of a cell
/// tower, which is marked as inaccurate; then a place beside the right one, which is withdrawn later.
const LOST_TRUCK: u32 = 20;
const NO_FIX_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 16 * MINUTE_MS;
const CELL_FIX_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 17 * MINUTE_MS;
const ASTRAY_AT: Millis = MIDNIGHT + 11 * HOUR_MS + 18 * MINUTE_MS;
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
            NO_FIX_AT => events.extend(id(LOST_TRUCK).map(|id| lost(&id, now, Place::from_degrees(0.0, 0.0), None))),
            CELL_FIX_AT => {
                let tower = self.beside(LOST_TRUCK, Offset { east: -1_900.0, north: 300.0 });
                events.extend(tower.map(|(id, place)| lost(&id, now, place, Some(2_500.0))));
            }
            ASTRAY_AT => {
                let astray = self.beside(LOST_TRUCK, Offset { east: 0.0, north: 300.0 });
                events.extend(astray.map(|(id, place)| lost(&id, now, place, None)));
            }
            WITHDRAWN_AT => corrections.extend(id(LOST_TRUCK).map(|id| Correction {
                kind: CorrectionKind::Withdrawn,
                events: vec![position(&id, ASTRAY_AT, WITHDRAWN_AT, Fix::Withdrawn)],
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

    /// The id of a lorry, and a place that is off from its own.
    fn beside(&self, truck: u32, off: Offset) -> Option<(String, Place)> {
        let spot = self.trucks.get(truck as usize)?.truth(&self.town).spot.moved(off);
        Some((vehicles::id(truck), Place::from_degrees(spot.lon, spot.lat)))
    }
}

/// A position of a receiver without enough satellites; accuracy in metres.
fn lost(id: &str, ts: Millis, place: Place, accuracy_m: Option<f64>) -> Event<'static> {
    let measured = Measured {
        place,
        speed: Speed::from_kmh(0.0),
        heading: Heading::NONE,
        accuracy_m,
        altitude_m: None,
        ignition: Some(true),
        attributes: Some(Cow::Borrowed(r#"{"satellites":0}"#)),
    };
    position(id, ts, ts, Fix::At(measured))
}

/// A position event.
pub(super) fn position(id: &str, ts: Millis, received_at: Millis, fix: Fix<'static>) -> Event<'static> {
    let (vehicle_id, received_at) = (Cow::Owned(id.to_owned()), Some(received_at));
    Event::Position(PositionReport { vehicle_id, ts, received_at, fix })
}
