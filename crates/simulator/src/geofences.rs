//! The geofences of the town.

use std::borrow::Cow;
use std::sync::Arc;

use watchtower_model::{Geofence, Millis, Speed};

use super::MINUTE_MS;
use super::geodesy::Spot;
use super::places::{Ground, PLACES, PORT_DISTRICT, Site, SiteKind};
use watchtower_core::events::{Event, GeofenceChange, GeofenceDefinition, Geometry};

/// `min_dwell` of the places' geofences.
const MIN_DWELL_MS: i64 = 5 * MINUTE_MS;
/// `exit_buffer_m` of the places' geofences.
const EXIT_BUFFER_M: f64 = 25.0;

/// The geofences at the start of the simulation.
pub(super) fn all(valid_from: Millis) -> impl Iterator<Item = Event<'static>> {
    let places = PLACES.iter().map(move |place| self::place(place, place.ground, valid_from, valid_from));
    places.chain([port_district(valid_from)])
}

/// The geofence of a place, with the given ground.
pub(super) fn place(place: &Site, ground: Ground, valid_from: Millis, received_at: Millis) -> Event<'static> {
    let geometry = match ground {
        Ground::Circle(radius_m) => Geometry::Circle { center: degrees(place.middle), radius_m },
        Ground::Yard(..) | Ground::Corners(_) => {
            let corners = ground.corners().into_iter().map(|offset| degrees(place.middle.moved(offset)));
            Geometry::Polygon(vec![ring(corners)])
        }
    };
    let limit_kmh = (place.kind == SiteKind::Terminal).then_some(20.0);
    event(
        place.id,
        place.name,
        place.kind.name(),
        geometry,
        (MIN_DWELL_MS, EXIT_BUFFER_M, limit_kmh),
        (valid_from, received_at),
    )
}

/// A zone with a lower speed limit.
fn port_district(valid_from: Millis) -> Event<'static> {
    let corners = PORT_DISTRICT.iter().map(|&(lon, lat)| degrees(Spot { lon, lat }));
    let geometry = Geometry::Polygon(vec![ring(corners)]);
    event("port-district", "Apapa port district", "zone", geometry, (0, 0.0, Some(40.0)), (valid_from, valid_from))
}

fn event(
    id: &'static str,
    name: &str,
    kind: &str,
    geometry: Geometry,
    (min_dwell_ms, exit_buffer_m, limit_kmh): (i64, f64, Option<f64>),
    (valid_from, received_at): (Millis, Millis),
) -> Event<'static> {
    let geofence = Geofence {
        id: id.into(),
        name: Some(name.to_owned()),
        kind: Some(kind.to_owned()),
        anchor: None,
        tags: Vec::new(),
        min_dwell_ms,
        exit_buffer_m,
        speed_limit: limit_kmh.map_or(Speed::NONE, Speed::from_kmh),
        shape: Arc::new(geometry.shape().expect("grounds are valid areas")),
    };
    Event::Geofence(GeofenceChange {
        geofence_id: Cow::Borrowed(id),
        valid_from: Some(valid_from),
        received_at: Some(received_at),
        definition: Some(GeofenceDefinition { geofence: Arc::new(geofence), geometry }),
    })
}

/// Degrees rounded to seven decimals, which is a centimetre.
fn degrees(spot: Spot) -> [f64; 2] {
    [spot.lon, spot.lat].map(|degrees| (degrees * 1e7).round() / 1e7)
}

fn ring(corners: impl Iterator<Item = [f64; 2]>) -> Vec<[f64; 2]> {
    let mut ring: Vec<[f64; 2]> = corners.collect();
    ring.extend(ring.first().copied());
    ring
}
