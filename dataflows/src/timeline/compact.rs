//! Positions as differences from the one before: what a vehicle sends next is near in time and place, so
//! that most numbers are small and few bytes hold them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use watchtower_model::{Heading, Ignition, Mark, Place, Position, Speed};

/// A position less the one before.
#[derive(Serialize, Deserialize)]
struct Step(i64, i32, i32, Speed, Heading, Ignition, Mark);

/// Where the first one is measured from.
const ORIGIN: Position = Position {
    ts: 0,
    place: Place { lon: 0, lat: 0 },
    speed: Speed::NONE,
    heading: Heading::NONE,
    ignition: Ignition::Unknown,
    mark: Mark::None,
};

/// For `#[serde(with)]`.
pub fn serialize<S: Serializer>(positions: &[Position], serializer: S) -> Result<S::Ok, S::Error> {
    let befores = std::iter::once(&ORIGIN).chain(positions);
    serializer.collect_seq(positions.iter().zip(befores).map(|(position, before)| {
        let Position { ts, place, speed, heading, ignition, mark } = *position;
        let (lon, lat) = (place.lon.wrapping_sub(before.place.lon), place.lat.wrapping_sub(before.place.lat));
        Step(ts.wrapping_sub(before.ts), lon, lat, speed, heading, ignition, mark)
    }))
}

/// For `#[serde(with)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Position>, D::Error> {
    let steps = Vec::<Step>::deserialize(deserializer)?;
    let mut before = ORIGIN;
    Ok(steps
        .into_iter()
        .map(|Step(ts, lon, lat, speed, heading, ignition, mark)| {
            let (lon, lat) = (before.place.lon.wrapping_add(lon), before.place.lat.wrapping_add(lat));
            let ts = before.ts.wrapping_add(ts);
            before = Position { ts, place: Place { lon, lat }, speed, heading, ignition, mark };
            before
        })
        .collect())
}
