//! The reports of a lorry's tracker: the truth with noise, gaps and faults.

use watchtower_model::{Heading, Millis, Place, Speed};

use super::cast::{TrackerFault, position};
use super::geodesy::Offset;
use super::truck::Truth;
use super::{HOUR_MS, MINUTE_MS};
use watchtower_core::events::{Event, Fix, Measured};
use watchtower_core::random::SplitMix;

/// Interval between reports of a moving lorry, seconds.
pub const MOVING_EVERY_S: u32 = 10;
/// Interval between reports of a standing lorry, seconds.
pub const STANDING_EVERY_S: u32 = 60;
/// Interval between reports of a lorry parked in its depot for the night, seconds.
pub const PARKED_EVERY_S: u32 = 300;
/// Greatest error of a receiver, east and north, metres.
const SCATTER_M: f64 = 4.0;
/// Greatest error of an inaccurate receiver, metres.
const BAD_SCATTER_M: f64 = 75.0;
/// One fix in this many is sent late.
const FIXES_TO_DELAY: u64 = 200;
/// Mean number of reports on the road between two losses of the network: fifty hours.
const REPORTS_TO_SILENCE: u64 = 18_000;
/// Lead of a wrong clock; more than any daemon tolerates.
const WRONG_CLOCK_MS: Millis = 2 * HOUR_MS;

/// A tracker without network, with the positions it will upload; or without power.
#[derive(Debug)]
pub(super) struct Silence {
    pub(super) until: Millis,
    /// Positions kept for the upload; `None` without power.
    pub(super) kept: Option<Vec<Event<'static>>>,
}

/// A fix of a lorry, and whether a daemon should reject it.
pub(super) fn fix(
    id: &str,
    truth: &Truth,
    fault: Option<TrackerFault>,
    random: &mut SplitMix,
    now: Millis,
) -> (Event<'static>, bool) {
    let scatter = if fault == Some(TrackerFault::Jittery) { BAD_SCATTER_M } else { SCATTER_M };
    let noise = Offset { east: random.between(-scatter, scatter), north: random.between(-scatter, scatter) };
    let spot = truth.spot.moved(noise);
    let mut speed_kmh = Some(truth.speed_kmh);
    let (mut ts, mut refused) = (now, false);
    match fault {
        Some(TrackerFault::NoSpeed) => speed_kmh = None,
        Some(TrackerFault::WrongSpeed) if random.below(6) == 0 => speed_kmh = Some(655.35),
        Some(TrackerFault::WrongClock) if random.below(90) == 0 => (ts, refused) = (now + WRONG_CLOCK_MS, true),
        Some(
            TrackerFault::WrongSpeed
            | TrackerFault::WrongClock
            | TrackerFault::Jittery
            | TrackerFault::Twice
            | TrackerFault::Late,
        )
        | None => {}
    }
    let moving = truth.speed_kmh > 0.0;
    let measured = Measured {
        place: Place::from_degrees(spot.lon, spot.lat),
        speed: speed_kmh.map_or(Speed::NONE, |kmh| Speed::from_kmh((kmh * 10.0).round() / 10.0)),
        heading: if moving { Heading::from_degrees(truth.heading_deg.round()) } else { Heading::NONE },
        accuracy_m: Some(if scatter > SCATTER_M { 80.0 } else { 5.0 }),
        altitude_m: None,
        ignition: Some(truth.ignition),
        attributes: None,
    };
    (position(id, ts, now, Fix::At(measured)), refused)
}

/// Delay of a fix that is sent late, seconds; `None` for most.
pub(super) fn delay_s(random: &mut SplitMix) -> Option<u32> {
    (random.below(FIXES_TO_DELAY) == 0).then(|| 12 + random.below(80) as u32)
}

/// End of a loss of network that begins now; `None` if none begins.
pub(super) fn lost(truth: &Truth, random: &mut SplitMix, now: Millis) -> Option<Millis> {
    let lost = truth.awake && random.below(REPORTS_TO_SILENCE) == 0;
    lost.then(|| now + 40 * MINUTE_MS + random.below(110 * MINUTE_MS as u64) as Millis)
}
