//! The fields of AIS messages (ITU-R M.1371): positions of types 1 to 3, 9, 18, 19 and 27, names of types 5, 19 and 24.
//!
//! What "not available" is differs by type; such a value is unknown, and a report without a position is none.

use std::borrow::Cow;
use std::sync::Arc;

use watchtower_core::events::{
    AttributesBuilder, Event, Fix, Limits, Measured, PositionReport, Reason, Rejection, VehicleChange, check_time,
    place,
};
use watchtower_model::{Heading, Millis, Speed, Vehicle};

use super::bits::Bits;
use crate::reading::SpeedUnit;

/// How far the clock of a vessel may be ahead of the receiver's: a second that is not over yet is taken for one of the
/// minute before, unless it begins within this.
const AHEAD_MS: Millis = 5_000;

const MINUTE_MS: Millis = 60_000;

/// Where a number is, and which of its values says that it is not known.
struct Number {
    start: usize,
    bits: usize,
    none: u32,
    /// What one is in the unit of the field.
    unit: f64,
}

/// Where the fields of a position report are.
struct Layout {
    /// Navigational status, 4 bits.
    status: Option<usize>,
    /// Rate of turn, 8 bits.
    turn: Option<usize>,
    /// Knots.
    speed: Number,
    /// Metres.
    altitude: Option<Number>,
    lon: (usize, usize),
    lat: (usize, usize),
    /// What a degree is in the unit of both.
    per_degree: f64,
    /// Degrees over ground.
    course: Number,
    /// True heading, 9 bits.
    heading: Option<usize>,
    /// Second of the minute, 6 bits.
    second: Option<usize>,
}

const CLASS_A: Layout = Layout {
    status: Some(38),
    turn: Some(42),
    speed: Number { start: 50, bits: 10, none: 1023, unit: 0.1 },
    altitude: None,
    lon: (61, 28),
    lat: (89, 27),
    per_degree: 600_000.0,
    course: Number { start: 116, bits: 12, none: 3600, unit: 0.1 },
    heading: Some(128),
    second: Some(137),
};

const CLASS_B: Layout = Layout {
    status: None,
    turn: None,
    speed: Number { start: 46, bits: 10, none: 1023, unit: 0.1 },
    altitude: None,
    lon: (57, 28),
    lat: (85, 27),
    per_degree: 600_000.0,
    course: Number { start: 112, bits: 12, none: 3600, unit: 0.1 },
    heading: Some(124),
    second: Some(133),
};

/// Aircraft: whole knots.
const AIRCRAFT: Layout = Layout {
    status: None,
    turn: None,
    speed: Number { start: 50, bits: 10, none: 1023, unit: 1.0 },
    altitude: Some(Number { start: 38, bits: 12, none: 4095, unit: 1.0 }),
    lon: (61, 28),
    lat: (89, 27),
    per_degree: 600_000.0,
    course: Number { start: 116, bits: 12, none: 3600, unit: 0.1 },
    heading: None,
    second: Some(128),
};

/// For satellites: whole knots and degrees, tenths of minutes, no time at all.
const LONG_RANGE: Layout = Layout {
    status: Some(40),
    turn: None,
    speed: Number { start: 79, bits: 6, none: 63, unit: 1.0 },
    altitude: None,
    lon: (44, 18),
    lat: (62, 17),
    per_degree: 600.0,
    course: Number { start: 85, bits: 9, none: 511, unit: 1.0 },
    heading: None,
    second: None,
};

/// Where the name of a vessel is, and what else is known of it.
struct Naming {
    name: usize,
    imo: Option<usize>,
    call_sign: Option<usize>,
    ship_type: Option<usize>,
}

/// The vehicle of a message: its MMSI, nine digits.
pub(super) fn vehicle_of(bits: &Bits) -> Option<String> {
    bits.unsigned(8, 30).map(|mmsi| format!("{mmsi:09}"))
}

/// The events of a message. `received_at`: when it was received, epoch milliseconds.
pub(super) fn events(
    bits: &Bits,
    received_at: Millis,
    names: bool,
    limits: &Limits,
) -> Vec<Result<Event<'static>, Rejection>> {
    let (Some(kind), Some(vehicle_id)) = (bits.unsigned(0, 6), vehicle_of(bits)) else {
        return vec![Err(short(bits))];
    };
    let layout = match kind {
        1..=3 => Some(&CLASS_A),
        9 => Some(&AIRCRAFT),
        18 | 19 => Some(&CLASS_B),
        27 => Some(&LONG_RANGE),
        _ => None,
    };
    let naming = match kind {
        5 => Some(Naming { name: 112, imo: Some(40), call_sign: Some(70), ship_type: Some(232) }),
        19 => Some(Naming { name: 143, imo: None, call_sign: None, ship_type: Some(263) }),
        // Part B, of the two that a type 24 is sent in, has no name.
        24 if bits.unsigned(38, 2) == Some(0) => Some(Naming { name: 40, imo: None, call_sign: None, ship_type: None }),
        _ => None,
    };
    let position = layout.and_then(|layout| position(bits, &vehicle_id, layout, received_at, limits).transpose());
    let name = naming.filter(|_| names).and_then(|naming| name(bits, &vehicle_id, &naming).transpose());
    position.into_iter().chain(name).collect()
}

fn short(bits: &Bits) -> Rejection {
    Rejection::new(Reason::Malformed, format!("expected a whole AIS message, found {} bits of it", bits.length()))
}

/// The position, if the report has one.
fn position(
    bits: &Bits,
    vehicle_id: &str,
    layout: &Layout,
    received_at: Millis,
    limits: &Limits,
) -> Result<Option<Event<'static>>, Rejection> {
    let number = |start, count| bits.unsigned(start, count).ok_or_else(|| short(bits));
    let known = |of: &Number| number(of.start, of.bits).map(|raw| (raw != of.none).then(|| f64::from(raw) * of.unit));
    let degrees = |(start, count), none: f64| {
        let raw = bits.signed(start, count).ok_or_else(|| short(bits))?;
        let degrees = f64::from(raw) / layout.per_degree;
        Ok::<_, Rejection>((degrees != none).then_some(degrees))
    };
    let (lon, lat) = (degrees(layout.lon, 181.0)?, degrees(layout.lat, 91.0)?);
    let speed = known(&layout.speed)?;
    // 360 and more is no course.
    let course = known(&layout.course)?.filter(|degrees| *degrees < 360.0);
    let altitude_m = layout.altitude.as_ref().map_or(Ok(None), known)?;
    let second = layout.second.map_or(Ok(60), |start| number(start, 6))?;
    let (Some(lon), Some(lat)) = (lon, lat) else { return Ok(None) };
    let ts = check_time("ts", at_second(received_at, second), limits)?;
    let dated = |rejection| Rejection { position_ts: Some(ts), ..rejection };
    let measured = Measured {
        place: place(lon, lat).map_err(dated)?,
        speed: speed.map_or(Speed::NONE, |knots| Speed::from_kmh(knots * SpeedUnit::Knots.kmh())),
        heading: course.map_or(Heading::NONE, Heading::from_degrees),
        accuracy_m: None,
        altitude_m,
        ignition: None,
        attributes: attributes(bits, layout)
            .finish(None, limits)
            .map_err(dated)?
            .map(|json| Cow::Owned(json.into_owned())),
    };
    let vehicle_id = Cow::Owned(vehicle_id.to_owned());
    Ok(Some(Event::Position(PositionReport { vehicle_id, ts, received_at: None, fix: Fix::At(measured) })))
}

/// The instant of a second of the minute: the newest that is over, or about to begin. From 60 on it is no second: the
/// time of reception counts.
fn at_second(received_at: Millis, second: u32) -> Millis {
    if second >= 60 {
        return received_at.div_euclid(1000) * 1000;
    }
    let newest = received_at.saturating_add(AHEAD_MS);
    let in_minute = newest.div_euclid(MINUTE_MS) * MINUTE_MS + Millis::from(second) * 1000;
    if in_minute > newest { in_minute - MINUTE_MS } else { in_minute }
}

fn attributes(bits: &Bits, layout: &Layout) -> AttributesBuilder {
    let mut attributes = AttributesBuilder::default();
    let status = layout.status.and_then(|start| bits.unsigned(start, 4)).filter(|status| *status != 15);
    let heading = layout.heading.and_then(|start| bits.unsigned(start, 9)).filter(|heading| *heading < 360);
    let turn = layout.turn.and_then(|start| bits.signed(start, 8)).and_then(turn);
    let members = [
        ("\"navigation_status\"", status.map(|status| status.to_string())),
        ("\"true_heading\"", heading.map(|heading| heading.to_string())),
        ("\"rate_of_turn\"", turn.map(|turn| turn.to_string())),
    ];
    for (key, value) in members {
        if let Some(value) = value {
            attributes.push_json(key, &value).expect("a number can be stored");
        }
    }
    attributes
}

/// Degrees per minute, to a tenth, clockwise positive. -128 says that it is not known, -127 and 127 only that it is
/// fast.
fn turn(raw: i32) -> Option<f64> {
    if !(-126..=126).contains(&raw) {
        return None;
    }
    let root = f64::from(raw) / 4.733;
    Some((root * root.abs() * 10.0).round() / 10.0)
}

/// The vehicle event of a name, if there is one.
fn name(bits: &Bits, vehicle_id: &str, naming: &Naming) -> Result<Option<Event<'static>>, Rejection> {
    let name = bits.text(naming.name, 20).ok_or_else(|| short(bits))?;
    if name.is_empty() {
        return Ok(None);
    }
    let number = |start: Option<usize>, count| start.and_then(|start| bits.unsigned(start, count)).filter(|n| *n > 0);
    let call_sign = naming.call_sign.and_then(|start| bits.text(start, 7)).filter(|text| !text.is_empty());
    let mut attributes = AttributesBuilder::default();
    if let Some(imo) = number(naming.imo, 30) {
        attributes.push_json("\"imo\"", &imo.to_string())?;
    }
    if let Some(call_sign) = call_sign {
        attributes.push("\"call_sign\"", &call_sign)?;
    }
    if let Some(ship_type) = number(naming.ship_type, 8) {
        attributes.push_json("\"ship_type\"", &ship_type.to_string())?;
    }
    let vehicle = Vehicle {
        name: Some(name),
        fleet: None,
        speed_limit: Speed::NONE,
        offline_after_ms: None,
        attributes: attributes.finish(None, &Limits::default())?.map(Cow::into_owned),
    };
    let vehicle_id = Cow::Owned(vehicle_id.to_owned());
    let definition = Some(Arc::new(vehicle));
    Ok(Some(Event::Vehicle(VehicleChange { vehicle_id, valid_from: None, received_at: None, definition })))
}
