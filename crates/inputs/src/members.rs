//! Positions as JSON objects: our own, those of OwnTracks and Traccar, GeoJSON points and tracks, and any other whose
//! members have names that are known.

use std::borrow::Cow;
use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use watchtower_core::events::{Event, Limits, Reason, Rejection, json, quoted};

use super::aliases::{Slot, normalized, speed_unit_of};
use super::draft::{Draft, Terms};
use super::header::plain_time_rules;
use super::notes::Notes;
pub(crate) use super::object::{Object, as_text, place};
use super::reading::{Reading, SpeedUnit};
use super::times::GivenBy;
use super::track::{self, Track};

pub(crate) const OF_TRACKS: &str = "properties of tracks, of which only times and the vehicle are read: left out";

/// Names of members that are remembered.
const MAX_NAMES: usize = 4096;

/// What a member's name stands for.
#[derive(Clone, Copy)]
enum Meaning {
    /// A field; of several members for it the one of the lowest rank is taken.
    Field {
        slot: Slot,
        rank: usize,
        unit: Option<SpeedUnit>,
    },
    /// A part of a field that `columns` joins.
    Part {
        slot: Slot,
        at: usize,
    },
    Attribute,
}

/// Reads objects into events.
pub(crate) struct Members {
    reading: Reading,
    terms: Terms,
    meanings: HashMap<String, Meaning, FxBuildHasher>,
    /// Whether a line of GeoJSON is a track: of files, where a record may be many positions.
    reads_tracks: bool,
    /// The track whose positions come next.
    track: Option<Track>,
    /// What the last position of a track was made of.
    fix: Option<String>,
    pub(crate) notes: Notes,
}

/// The kinds of event that have a type of their own.
const OWN_TYPES: [&str; 3] = ["geofence", "vehicle", "clock"];

impl Members {
    /// Reads as `reading` says. `vehicle_id`: of objects that name none.
    pub(crate) fn new(reading: &Reading, vehicle_id: Option<String>) -> Self {
        Self {
            terms: Terms {
                times: plain_time_rules(reading),
                speed_unit: reading.speed_unit.unwrap_or(SpeedUnit::Kmh),
                speed_unknown_from: None,
                north_is_zero: false,
                vehicle_id,
            },
            reading: reading.clone(),
            meanings: HashMap::default(),
            reads_tracks: true,
            track: None,
            fix: None,
            notes: Notes::default(),
        }
    }

    /// Reads messages of a source, whose settings give what is missing.
    pub(crate) fn of_source(reading: &Reading) -> Self {
        let mut members = Self::new(reading, reading.vehicle_id.clone());
        members.terms.times.given_by = GivenBy::Source;
        members.reads_tracks = false;
        members
    }

    /// The event that an object is; of a track its first position, [`Self::next_of_track`] has the others. `position` is
    /// the line of the object or its place in the document.
    pub(crate) fn event<'a>(&mut self, text: &'a str, limits: &Limits, position: u64) -> Result<Event<'a>, Rejection> {
        self.fix = None;
        json::check_size(text.as_bytes(), limits)?;
        let object = Object::of_record(text)?;
        let kind = object.string("type");
        if kind.as_deref().is_some_and(|kind| OWN_TYPES.contains(&kind)) {
            return json::decode(text.as_bytes(), limits);
        }
        if kind.as_deref() == Some("Feature") {
            return self.point(&object, limits, position);
        }
        if let Some(device) = object.get("device").filter(|device| device.starts_with('{'))
            && let Some(inner) = object.get("position").filter(|inner| inner.starts_with('{'))
        {
            return self.forwarded(inner, device, Draft::default(), limits, position);
        }
        match object.string("_type").as_deref() {
            None | Some("location") => {}
            Some(other) => {
                let detail = format!("_type: expected location, found {}", quoted(other));
                return Err(Rejection::new(Reason::UnknownType, detail));
            }
        }
        let is_traccar = object.get("fixTime").is_some() && object.get("deviceId").is_some();
        let has_place = |object: &Object<'_>| object.0.iter().any(|(name, _)| Slot::from_name(name) == Some(Slot::Lat));
        if kind.as_deref() != Some("position") && !is_traccar && !has_place(&object) {
            // Its own words for what it lacks.
            return json::decode(text.as_bytes(), limits);
        }
        let mut terms = self.terms.clone();
        if is_traccar {
            terms.speed_unit = SpeedUnit::Knots;
        }
        let draft = self.draft(&object, Draft::default(), kind.is_some(), &mut terms, position)?;
        draft.finish(&terms, limits, &mut self.notes, position)
    }

    /// A point of GeoJSON: its properties are the members.
    fn point<'a>(&mut self, feature: &Object<'a>, limits: &Limits, position: u64) -> Result<Event<'a>, Rejection> {
        let malformed = |detail: &str| Rejection::new(Reason::Malformed, detail);
        let geometry = feature.get("geometry").and_then(|geometry| Object::parse(geometry).ok());
        let geometry = geometry.ok_or_else(|| malformed("geometry: expected a Point"))?;
        let kind = geometry.string("type").unwrap_or_default();
        if self.reads_tracks && track::is_line(&kind) {
            return self.begin_track(feature, &geometry, &kind, limits, position);
        }
        if kind != "Point" {
            let detail = format!("geometry: expected a Point for a position, found {}", quoted(&kind));
            return Err(Rejection::new(Reason::Malformed, detail));
        }
        let coordinates = geometry.get("coordinates").unwrap_or("null");
        let coordinates: Vec<f64> =
            serde_json::from_str(coordinates).map_err(|fault| malformed(&format!("coordinates: {fault}")))?;
        let [lon, lat, rest @ ..] = coordinates.as_slice() else {
            return Err(malformed("coordinates: a position needs lon and lat"));
        };
        let mut draft = Draft::default();
        draft.set(Slot::Lon, lon.to_string());
        draft.set(Slot::Lat, lat.to_string());
        if let Some(altitude) = rest.first() {
            draft.set(Slot::Altitude, altitude.to_string());
        }
        let properties = feature.get("properties").filter(|properties| *properties != "null").unwrap_or("{}");
        let object = Object::parse(properties).map_err(|fault| json::malformed("properties", properties, &fault))?;
        let mut terms = self.terms.clone();
        let mut draft = self.draft(&object, draft, false, &mut terms, position)?;
        if !draft.has(Slot::VehicleId)
            && let Some(id) = feature.get("id").and_then(as_text)
        {
            draft.set(Slot::VehicleId, id);
        }
        draft.finish(&terms, limits, &mut self.notes, position)
    }

    /// The first position of a track. Of its properties only the vehicle counts, and not a mere name if the vehicle was
    /// given.
    fn begin_track<'a>(
        &mut self,
        feature: &Object<'a>,
        geometry: &Object<'a>,
        kind: &str,
        limits: &Limits,
        position: u64,
    ) -> Result<Event<'a>, Rejection> {
        let properties = feature.get("properties").filter(|properties| *properties != "null").unwrap_or("{}");
        let properties =
            Object::parse(properties).map_err(|fault| json::malformed("properties", properties, &fault))?;
        let mapped = |field: &str| {
            let found = self.reading.columns.iter().find(|(of, _)| *of == field);
            found.map(|(_, columns)| columns[0].clone())
        };
        let (times, vehicle) = (mapped(Slot::Ts.name()), mapped(Slot::VehicleId.name()));
        let coordinates = geometry.get("coordinates").unwrap_or("null");
        let mut track = Track::read(kind, coordinates, &properties, times.as_deref())?;
        let is_given = self.terms.vehicle_id.is_some();
        let names_vehicle = |name: &str| match vehicle.as_deref() {
            Some(vehicle) => name == vehicle,
            None if is_given && matches!(name, "name" | "id") => false,
            None => Slot::from_name(name) == Some(Slot::VehicleId),
        };
        let (ids, others): (Vec<_>, Vec<_>) =
            properties.0.into_iter().filter(|(_, value)| *value != "null").partition(|(name, _)| names_vehicle(name));
        let mut draft = self.draft(&Object(ids), Draft::default(), false, &mut self.terms.clone(), position)?;
        let of_feature = || feature.get("id").filter(|_| !is_given).and_then(as_text);
        track.vehicle_id = draft.take(Slot::VehicleId).or_else(of_feature).map(Cow::into_owned);
        let left_out = others.iter().map(|(name, _)| name.as_ref());
        let left_out: Vec<&str> = left_out.filter(|name| !track::holds_times(name, times.as_deref())).collect();
        if !left_out.is_empty() {
            self.notes.count(OF_TRACKS, "", position, &left_out.join(", "));
        }
        self.track = Some(track);
        let empty = || Err(Rejection::new(Reason::Malformed, "coordinates: the line is empty"));
        self.next_of_track(limits, position).unwrap_or_else(empty)
    }

    /// The next position of the track that was begun last; nothing if there is none.
    pub(crate) fn next_of_track(
        &mut self,
        limits: &Limits,
        position: u64,
    ) -> Option<Result<Event<'static>, Rejection>> {
        let Some((draft, text)) = self.track.as_mut()?.next() else {
            (self.track, self.fix) = (None, None);
            return None;
        };
        self.fix = Some(text);
        Some(draft.finish(&self.terms, limits, &mut self.notes, position))
    }

    /// What the last event was made of: a vertex, or else the `record`.
    pub(crate) fn text_of<'a>(&'a self, record: &'a [u8]) -> &'a [u8] {
        self.fix.as_ref().map_or(record, |fix| fix.as_bytes())
    }

    /// What Traccar forwards: a position beside its device. What `given` has of the position counts first.
    pub(crate) fn forwarded<'a>(
        &mut self,
        inner: &'a str,
        device: &'a str,
        mut given: Draft<'a>,
        limits: &Limits,
        position: u64,
    ) -> Result<Event<'a>, Rejection> {
        let parse = |text: &'a str| Object::parse(text).map_err(|fault| json::malformed("a position", text, &fault));
        let (object, device) = (parse(inner)?, parse(device)?);
        if let Some(id) = device.get("uniqueId").or(device.get("id")).and_then(as_text) {
            given.set(Slot::VehicleId, id);
        }
        self.completed(&object, given, SpeedUnit::Knots, limits, position)
    }

    /// The position that an object is, beside what is `given` of it. `speed_unit`: of members whose name has none.
    pub(crate) fn completed<'a>(
        &mut self,
        object: &Object<'a>,
        given: Draft<'a>,
        speed_unit: SpeedUnit,
        limits: &Limits,
        position: u64,
    ) -> Result<Event<'a>, Rejection> {
        let mut terms = Terms { speed_unit, ..self.terms.clone() };
        let draft = self.draft(object, given, false, &mut terms, position)?;
        draft.finish(&terms, limits, &mut self.notes, position)
    }

    /// Puts the members of an object into a draft; what is set there already stays.
    fn draft<'a>(
        &mut self,
        object: &Object<'a>,
        mut draft: Draft<'a>,
        own: bool,
        terms: &mut Terms,
        position: u64,
    ) -> Result<Draft<'a>, Rejection> {
        let mut ranks = [usize::MAX; Slot::ALL.len()];
        let fixed: Vec<bool> = Slot::ALL.iter().map(|slot| draft.has(*slot)).collect();
        let mut parts: Vec<(Slot, usize, Cow<'a, str>)> = Vec::new();
        let mut losers: Vec<(&str, &str)> = Vec::new();
        let mut taken: Vec<(Slot, usize)> = Vec::new();
        for (index, (name, value)) in object.0.iter().enumerate() {
            if *value == "null" || (own && name == "type") || name == "_type" {
                continue;
            }
            match self.meaning(name) {
                Meaning::Field { slot, rank, unit } if !fixed[slot.index()] => {
                    if rank == ranks[slot.index()] {
                        return Err(Rejection::new(Reason::Malformed, format!("{name} is given twice")));
                    }
                    if rank > ranks[slot.index()] {
                        losers.push((name, value));
                        continue;
                    }
                    if let Some((_, earlier)) = taken.iter().find(|(of, _)| *of == slot) {
                        let (name, value) = &object.0[*earlier];
                        losers.push((name, value));
                    }
                    taken.retain(|(of, _)| *of != slot);
                    taken.push((slot, index));
                    ranks[slot.index()] = rank;
                    draft.set(slot, as_text(value).unwrap_or(Cow::Borrowed(value)));
                    if slot == Slot::Speed
                        && let Some(unit) = unit
                    {
                        terms.speed_unit = unit;
                    }
                }
                Meaning::Part { slot, at } => parts.push((slot, at, as_text(value).unwrap_or(Cow::Borrowed(value)))),
                Meaning::Field { .. } | Meaning::Attribute => losers.push((name, value)),
            }
        }
        parts.sort_by_key(|(slot, at, _)| (*slot, *at));
        for group in parts.chunk_by(|a, b| a.0 == b.0) {
            let texts: Vec<&str> = group.iter().map(|(_, _, text)| text.trim()).collect();
            draft.set(group[0].0, texts.join(" "));
        }
        if !draft.has(Slot::Ignition)
            && let Some(on) = object.get("attributes").and_then(|text| Object::parse(text).ok()?.get("ignition"))
        {
            draft.set(Slot::Ignition, as_text(on).unwrap_or_default());
        }
        losers.iter().for_each(|(name, value)| draft.attribute_json(name, value, &mut self.notes, position));
        Ok(draft)
    }

    fn meaning(&mut self, name: &str) -> Meaning {
        if let Some(meaning) = self.meanings.get(name) {
            return *meaning;
        }
        let meaning = self.looked_up(name);
        if self.meanings.len() < MAX_NAMES {
            self.meanings.insert(name.to_owned(), meaning);
            let understood = match meaning {
                Meaning::Field { slot, .. } | Meaning::Part { slot, .. } => slot.name(),
                Meaning::Attribute => "an attribute",
            };
            if self.notes.columns.len() < 64 {
                self.notes.columns.push((name.to_owned(), understood.to_owned()));
            }
        }
        meaning
    }

    fn looked_up(&self, name: &str) -> Meaning {
        for (field, columns) in self.reading.columns.iter() {
            let Some(slot) = Slot::from_name(field) else { continue };
            match columns.iter().position(|column| column == name || column.eq_ignore_ascii_case(name)) {
                Some(_) if columns.len() == 1 => return Meaning::Field { slot, rank: 0, unit: speed_unit_of(name) },
                Some(at) => return Meaning::Part { slot, at },
                None => {}
            }
        }
        match Slot::from_name(name) {
            Some(slot) => Meaning::Field { slot, rank: slot.rank(&normalized(name)) + 1, unit: speed_unit_of(name) },
            None => Meaning::Attribute,
        }
    }
}
