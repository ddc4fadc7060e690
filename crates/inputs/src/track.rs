//! Lines of GeoJSON whose vertices have times: tracks, as togeojson, gpx2geojson and kepler.gl write them.
//!
//! The times are a property with one for each vertex (`coordTimes`, `times`, `timestamps`, also within
//! `coordinateProperties`), an array of arrays for several lines; or the fourth member of each vertex.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;
use watchtower_core::events::{Reason, Rejection};

use super::aliases::Slot;
use super::draft::Draft;
use super::object::{Object, as_text, place};

/// Geometries whose vertices may be positions.
const KINDS: [&str; 3] = ["LineString", "MultiLineString", "MultiPoint"];
/// Properties with the times of the vertices.
const TIMES: [&str; 3] = ["coordTimes", "times", "timestamps"];
/// The property that holds what belongs to the vertices.
const OF_VERTICES: &str = "coordinateProperties";
/// Characters of a vertex that are kept if it is refused.
const SHOWN_BYTES: usize = 96;

/// A track that is read vertex by vertex.
pub(crate) struct Track {
    /// The coordinates as they are written.
    coordinates: String,
    /// The times as they are written; empty where vertices have their own.
    times: String,
    /// Where each vertex is in the coordinates, and its time in the times.
    fixes: std::vec::IntoIter<(Range<usize>, Option<Range<usize>>)>,
    /// The vehicle, if the feature names one.
    pub(crate) vehicle_id: Option<String>,
}

/// Whether the vertices of a geometry may be positions.
pub(crate) fn is_line(kind: &str) -> bool {
    KINDS.contains(&kind)
}

/// Whether a property of a line holds the times of its vertices.
pub(crate) fn holds_times(name: &str, mapped: Option<&str>) -> bool {
    name == OF_VERTICES || TIMES.contains(&name) || mapped == Some(name)
}

impl Track {
    /// Reads a line of this kind. `mapped` is the property of the times by `--columns`.
    ///
    /// # Errors
    /// If it has no times, or not as many as vertices.
    pub(crate) fn read(
        kind: &str,
        coordinates: &str,
        properties: &Object<'_>,
        mapped: Option<&str>,
    ) -> Result<Self, Rejection> {
        let lines = lines(kind, coordinates)?;
        let vertices = lines.iter().flatten().map(|vertex| place(coordinates, vertex.get()));
        let Some((name, times)) = times_of(properties, mapped) else {
            let first = lines.iter().flatten().next().map(|vertex| members(vertex.get()));
            if first.is_some_and(|members| members.len() < 4) {
                let detail = format!(
                    "ts is missing: the vertices of a {kind} are positions if the property coordTimes or times has a \
                     time for each, or each has a fourth member"
                );
                return Err(Rejection::new(Reason::MissingField, detail));
            }
            let fixes: Vec<_> = vertices.map(|vertex| (vertex, None)).collect();
            let (coordinates, fixes) = (coordinates.to_owned(), fixes.into_iter());
            return Ok(Self { coordinates, times: String::new(), fixes, vehicle_id: None });
        };
        let moments = moments(&name, times, &lines)?;
        let moments = moments.into_iter().map(|moment| moment.map(|moment| place(times, moment.get())));
        let fixes: Vec<_> = vertices.zip(moments).collect();
        Ok(Self {
            coordinates: coordinates.to_owned(),
            times: times.to_owned(),
            fixes: fixes.into_iter(),
            vehicle_id: None,
        })
    }

    /// The next position, and what it was made of in few words.
    pub(crate) fn next(&mut self) -> Option<(Draft<'static>, String)> {
        let (vertex, moment) = self.fixes.next()?;
        let vertex = &self.coordinates[vertex];
        let members = members(vertex);
        let time = match &moment {
            Some(range) => &self.times[range.clone()],
            None => members.get(3).map_or("null", |member| member.get()),
        };
        let mut draft = Draft::default();
        let mut set = |slot, json: &str| {
            if json != "null" {
                draft.set(slot, as_text(json).unwrap_or_default().into_owned());
            }
        };
        [Slot::Lon, Slot::Lat, Slot::Altitude]
            .into_iter()
            .zip(&members)
            .for_each(|(slot, member)| set(slot, member.get()));
        set(Slot::Ts, time);
        if let Some(id) = &self.vehicle_id {
            draft.set(Slot::VehicleId, id.clone());
        }
        Some((draft, format!("{} {}", shown(time), shown(vertex))))
    }
}

fn shown(json: &str) -> &str {
    &json[..json.floor_char_boundary(SHOWN_BYTES)]
}

type Vertices<'a> = Vec<&'a RawValue>;

/// The vertices of each line.
fn lines<'a>(kind: &str, coordinates: &'a str) -> Result<Vec<Vertices<'a>>, Rejection> {
    fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Rejection> {
        serde_json::from_str(text).map_err(|fault| Rejection::new(Reason::Malformed, format!("coordinates: {fault}")))
    }
    if kind == "MultiLineString" { read(coordinates) } else { Ok(vec![read(coordinates)?]) }
}

/// The members of a vertex; none if it is no array.
fn members(vertex: &str) -> Vertices<'_> {
    serde_json::from_str(vertex).unwrap_or_default()
}

/// The property with the times, by its name: one that `--columns` names, else a known one.
fn times_of<'a>(properties: &Object<'a>, mapped: Option<&str>) -> Option<(String, &'a str)> {
    let found = |object: &Object<'a>| {
        let names = mapped.into_iter().chain(TIMES);
        let mut arrays = names.filter_map(|name| Some((name.to_owned(), object.get(name)?)));
        arrays.find(|(_, times)| times.starts_with('['))
    };
    let of_vertices = || found(&Object::parse(properties.get(OF_VERTICES)?).ok()?);
    found(properties).or_else(of_vertices)
}

/// The time of each vertex; nothing of a line that has none at all.
fn moments<'a>(name: &str, times: &'a str, lines: &[Vertices<'_>]) -> Result<Vec<Option<&'a RawValue>>, Rejection> {
    let malformed = |detail: String| Rejection::new(Reason::Malformed, format!("{name}: {detail}"));
    let vertices: usize = lines.iter().map(Vec::len).sum();
    let listed: Vec<&RawValue> = serde_json::from_str(times).map_err(|fault| malformed(fault.to_string()))?;
    let is_nested = listed.iter().any(|each| each.get().starts_with('['));
    if !is_nested {
        if listed.len() != vertices {
            return Err(malformed(format!("{} times of {vertices} vertices", listed.len())));
        }
        return Ok(listed.into_iter().map(Some).collect());
    }
    let nested: Vec<Vec<&RawValue>> = serde_json::from_str(times).map_err(|fault| malformed(fault.to_string()))?;
    if nested.len() != lines.len() {
        return Err(malformed(format!("times of {} lines, and {} lines", nested.len(), lines.len())));
    }
    let mut moments = Vec::with_capacity(vertices);
    for (number, (line, of_line)) in (1..).zip(lines.iter().zip(nested)) {
        match of_line.len() {
            0 => moments.extend(line.iter().map(|_| None)),
            count if count == line.len() => moments.extend(of_line.into_iter().map(Some)),
            count => return Err(malformed(format!("{count} times of the {} vertices of line {number}", line.len()))),
        }
    }
    Ok(moments)
}
