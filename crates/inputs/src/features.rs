//! Features of GeoJSON as geofences, however their properties are spelt.

use std::borrow::Cow;
use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use serde_json::value::RawValue;
use watchtower_core::events::{
    Event, Field, Fields, Limits, Reason, Rejection, Value, check_geofence_id, geofence_with_id, json, quoted,
};

use super::forms::{self, Form};
use super::header::plain_time_rules;
use super::members::{Object, as_text};
use super::notes::Notes;
use super::reading::{Reading, SpeedUnit};
use super::times::{self, TimeRules};
use super::values::{self, Optional};

pub(crate) const ID_FROM_NAME: &str = "no id: their names are, as each is there once";
pub(crate) const ID_FROM_PLACE: &str = "no id and no name of their own: called after the file and their place in it";
pub(crate) const MISSPELT: &str = "a property that is not known; is it";
pub(crate) const KIND_IN_CAPITALS: &str = "a kind in capitals, read as";
pub(crate) const UNKNOWN_KIND: &str = "no kind that trips go by; is it";
pub(crate) const RADIUS_IN_METRES: &str = "taken for radius_m, in metres";

/// The kinds that mean something to trips and turnarounds.
const KINDS: [&str; 3] = ["terminal", "client", "depot"];

/// Properties that are read, beside the id.
const KNOWN: [&str; 13] = [
    "name",
    "kind",
    "tags",
    "anchor",
    "min_dwell_s",
    "exit_buffer_m",
    "speed_limit_kmh",
    "radius_m",
    "buffer_m",
    "valid_from",
    "received_at",
    "deleted",
    "id",
];

/// Turns features into geofences.
pub(crate) struct Features {
    reading: Reading,
    times: TimeRules,
    /// The file's name, for the ids of features that have none.
    stem: String,
    /// How often a name is there, once it had to be known.
    names: Option<HashMap<String, u32, FxBuildHasher>>,
    pub(crate) notes: Notes,
}

/// A feature taken apart.
pub(crate) struct Feature<'a> {
    id: Option<&'a str>,
    properties: Object<'a>,
    geometry: Option<&'a str>,
}

impl<'a> Feature<'a> {
    /// Reads a feature.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Rejection> {
        let object = Object::parse(text).map_err(|fault| json::malformed("a GeoJSON feature", text, &fault))?;
        let kind = object.get("type");
        if kind != Some(r#""Feature""#) {
            let found = quoted(kind.unwrap_or("nothing"));
            return Err(Rejection::new(Reason::Malformed, format!("type: expected \"Feature\", found {found}")));
        }
        let properties = match object.get("properties") {
            None => return Err(Rejection::new(Reason::MissingField, "properties is missing")),
            Some("null") => "{}",
            Some(properties) => properties,
        };
        let properties = Object::parse(properties)
            .map_err(|fault| json::malformed("properties to be an object", properties, &fault))?;
        let given = |value: &&str| *value != "null";
        Ok(Self { id: object.get("id").filter(given), geometry: object.get("geometry").filter(given), properties })
    }

    /// A property that says something, by its name in any case.
    fn property(&self, name: &str) -> Option<(&str, &'a str)> {
        let says = |value: &str| value != "null" && !value.trim_matches(['"', ' ']).is_empty();
        let exact = self.properties.0.iter().find(|(own, value)| own == name && says(value));
        let any = || self.properties.0.iter().find(|(own, value)| own.eq_ignore_ascii_case(name) && says(value));
        exact.or_else(any).map(|(own, value)| (own.as_ref(), *value))
    }

    /// Its name, of its own or among tags as OpenStreetMap has them.
    fn name(&self) -> Option<Cow<'a, str>> {
        let own = self.property("name").and_then(|(_, value)| as_text(value));
        let tagged = || {
            let tags = self.property("tags").filter(|(_, tags)| tags.starts_with('{'))?;
            Object::parse(tags.1).ok()?.get("name").and_then(as_text)
        };
        own.or_else(tagged).map(super::draft::trimmed).filter(|name| !name.is_empty())
    }

    /// The id that it has itself, checked.
    fn id(&self, id_from: Option<&str>) -> Result<Option<String>, Rejection> {
        let json = match id_from {
            Some(property) => {
                let Some((_, value)) = self.property(property) else {
                    let detail = format!("the property {property}, which is to be the id, is missing");
                    return Err(Rejection::new(Reason::MissingField, detail));
                };
                value
            }
            None => {
                let own = self.id.or_else(|| self.property("id").map(|(_, value)| value));
                match own.or_else(|| self.property("geofence_id").map(|(_, value)| value)) {
                    Some(json) if !json.trim_matches(['"', ' ']).is_empty() => json,
                    _ => return Ok(None),
                }
            }
        };
        let id = id_text(json)?;
        check_geofence_id(&id)?;
        Ok(Some(id))
    }
}

/// A string, a number in decimal, or what MongoDB makes of an id.
fn id_text(json: &str) -> Result<String, Rejection> {
    let bad =
        || Rejection::new(Reason::Malformed, format!("id: expected a string or a number, found {}", quoted(json)));
    if json.starts_with('"') {
        return serde_json::from_str::<String>(json).map(|id| id.trim().to_owned()).map_err(|_| bad());
    }
    if json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return Ok(json.to_owned());
    }
    if let Some(id) = Object::parse(json).ok().and_then(|object| object.string("$oid")) {
        return Ok(id);
    }
    json.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number.to_string()).ok_or_else(bad)
}

impl Features {
    /// Of a file whose name without extensions is `stem`.
    pub(crate) fn new(reading: &Reading, stem: String) -> Self {
        Self { times: plain_time_rules(reading), reading: reading.clone(), stem, names: None, notes: Notes::default() }
    }

    /// The id of a feature: its own, else its name where no other feature of the file has it, else one after its
    /// place in the file. `all` are the features of the file, looked at only where an id is missing.
    pub(crate) fn id<'t>(
        &mut self,
        feature: &Feature<'_>,
        position: u64,
        all: impl Iterator<Item = &'t str>,
    ) -> Result<String, Rejection> {
        if let Some(id) = feature.id(self.reading.id_from.as_deref())? {
            return Ok(id);
        }
        let names = self.names.get_or_insert_with(|| {
            let mut names: HashMap<String, u32, FxBuildHasher> = HashMap::default();
            for text in all {
                let Ok(feature) = Feature::parse(text) else { continue };
                // A name may be another feature's id.
                let own = feature.id(None).ok().flatten();
                for name in [own, feature.name().map(Cow::into_owned)].into_iter().flatten() {
                    *names.entry(name).or_default() += 1;
                }
            }
            names
        });
        if let Some(name) = feature.name()
            && names.get(name.as_ref()) == Some(&1)
            && check_geofence_id(&name).is_ok()
        {
            self.notes.count(ID_FROM_NAME, "", position, &name);
            return Ok(name.into_owned());
        }
        let id = format!("{}-{position}", self.stem);
        self.notes.count(ID_FROM_PLACE, "", position, &id);
        check_geofence_id(&id)?;
        Ok(id)
    }

    /// The `valid_from` of a feature.
    pub(crate) fn valid_from(&self, feature: &Feature<'_>) -> Result<Option<String>, Rejection> {
        let Some((_, value)) = feature.property("valid_from") else { return Ok(None) };
        let text = as_text(value).unwrap_or(Cow::Borrowed(value));
        match times::parse_day(&text, &self.times) {
            Ok(instant) => Ok(Some(instant.ms.to_string())),
            Err(fault) => {
                let detail = format!("valid_from: {}, found {}", fault.advice(), quoted(&text));
                Err(Rejection::new(Reason::Malformed, detail))
            }
        }
    }

    /// The geofence that a feature is.
    pub(crate) fn event(
        &mut self,
        feature: &Feature<'_>,
        id: String,
        valid_from: Option<&str>,
        limits: &Limits,
        position: u64,
    ) -> Result<Event<'static>, Rejection> {
        self.remark_on_properties(feature, position);
        let deleted = flag(feature, "deleted")?;
        let text = |name: &str| feature.property(name).and_then(|(_, value)| as_text(value));
        let name = feature.name();
        let kind = text("kind").map(|kind| self.kind(&kind, position));
        let tags = tags(feature);
        let min_dwell = measure(feature, "min_dwell_s", values::seconds)?;
        let exit_buffer = measure(feature, "exit_buffer_m", values::metres)?;
        let limit = measure(feature, "speed_limit_kmh", |text| values::speed_kmh(text, SpeedUnit::Kmh))?;
        let anchor = flag(feature, "anchor")?;
        let received_at = text("received_at");
        let word = |flag: bool| if flag { "true" } else { "false" };
        let texts = [
            (Field::Name, name.as_deref()),
            (Field::Kind, kind.as_deref()),
            (Field::MinDwellS, min_dwell.as_deref()),
            (Field::ExitBufferM, exit_buffer.as_deref()),
            (Field::SpeedLimitKmh, limit.as_deref()),
            (Field::Anchor, anchor.map(word)),
            (Field::Deleted, deleted.map(word)),
            (Field::ReceivedAt, received_at.as_deref()),
            (Field::ValidFrom, valid_from),
        ];
        let mut fields = Fields::default();
        for (field, text) in texts {
            if let Some(text) = text {
                fields.set(field, Value::Text(text))?;
            }
        }
        let (geometry, radius);
        if let Some(json) = feature.geometry {
            (geometry, radius) = self.area(feature, json, position)?;
            fields.set(Field::Geometry, Value::Json(&geometry))?;
            if let Some(radius) = &radius {
                fields.set(Field::RadiusM, Value::Text(radius))?;
            }
        }
        if let Some(tags) = &tags {
            fields.set(Field::Tags, Value::Json(tags))?;
        }
        Ok(geofence_with_id(Cow::Owned(id), &fields, limits)?.into_owned())
    }

    /// The geometry of an area and, of a circle, its radius.
    fn area<'t>(
        &mut self,
        feature: &Feature<'t>,
        json: &'t str,
        position: u64,
    ) -> Result<(Cow<'t, str>, Option<String>), Rejection> {
        let kind = forms::kind_of(json);
        let radius = || {
            let found = ["radius_m", "radius"].iter().find_map(|name| feature.property(name))?;
            Some((found.0.to_owned(), as_text(found.1).unwrap_or(Cow::Borrowed(found.1))))
        };
        match kind.as_deref() {
            // As they are: areas are checked, and their faults named, where all geometries are.
            None | Some("Polygon" | "MultiPolygon") => Ok((Cow::Borrowed(json), None)),
            Some("Point") => {
                let Some((name, text)) = radius() else { return Ok((Cow::Borrowed(json), None)) };
                let Optional::Value(radius_m) = values::metres(&text) else {
                    let detail = format!("{name}: expected metres, found {}", quoted(&text));
                    return Err(Rejection::new(Reason::Malformed, detail));
                };
                if name != "radius_m" {
                    self.notes.count(RADIUS_IN_METRES, &name, position, &text);
                }
                Ok((Cow::Borrowed(json), Some(radius_m.to_string())))
            }
            Some(_) => {
                let metres = |text: Option<Cow<'_, str>>| match text.map(|text| values::metres(&text)) {
                    Some(Optional::Value(metres)) => Some(metres),
                    _ => None,
                };
                let buffer = feature.property("buffer_m").or_else(|| feature.property("buffer"));
                let buffer_m = metres(buffer.and_then(|(_, value)| as_text(value)));
                let radius_m = metres(radius().map(|(_, text)| text));
                let area = Form::from_json(json)?.area(radius_m, buffer_m, &mut self.notes, position)?;
                Ok((Cow::Owned(area.json), area.radius_m.map(|metres| metres.to_string())))
            }
        }
    }

    /// The kind in small letters, where that is one that is known.
    fn kind(&mut self, kind: &str, position: u64) -> String {
        let small = kind.trim().to_lowercase();
        if KINDS.contains(&small.as_str()) {
            if small != kind {
                self.notes.count(KIND_IN_CAPITALS, kind, position, &small);
            }
            return small;
        }
        let near = KINDS.iter().find(|known| strsim::osa_distance(known, &small) <= 2);
        if let Some(near) = near {
            self.notes.count(UNKNOWN_KIND, kind, position, near);
        }
        kind.trim().to_owned()
    }

    /// Says which properties look like known ones and are not.
    fn remark_on_properties(&mut self, feature: &Feature<'_>, position: u64) {
        for (name, _) in &feature.properties.0 {
            let small = name.to_lowercase();
            if small.len() < 4 || KNOWN.contains(&small.as_str()) || matches!(small.as_str(), "radius" | "buffer") {
                continue;
            }
            let is_near = |known: &&&str| {
                known.len() > 5
                    && (strsim::osa_distance(known, &small) <= 2
                        || known.trim_end_matches(['s', 'm', 'h', 'k', '_']) == small)
            };
            if let Some(near) = KNOWN.iter().find(is_near) {
                self.notes.count(MISSPELT, name, position, near);
            }
        }
    }
}

fn measure(
    feature: &Feature<'_>,
    name: &str,
    read: impl Fn(&str) -> Optional<f64>,
) -> Result<Option<String>, Rejection> {
    let Some((own, value)) = feature.property(name) else { return Ok(None) };
    let text = as_text(value).unwrap_or(Cow::Borrowed(value));
    match read(&text) {
        Optional::Value(number) => Ok(Some(number.to_string())),
        Optional::Unknown => Ok(None),
        Optional::Unreadable => {
            let detail = format!("{own}: expected a number, found {}", quoted(&text));
            Err(Rejection::new(Reason::Malformed, detail))
        }
    }
}

fn flag(feature: &Feature<'_>, name: &str) -> Result<Option<bool>, Rejection> {
    let Some((own, value)) = feature.property(name) else { return Ok(None) };
    let text = as_text(value).unwrap_or(Cow::Borrowed(value));
    match values::flag(&text) {
        Optional::Value(flag) => Ok(Some(flag)),
        Optional::Unknown => Ok(None),
        Optional::Unreadable => {
            let detail = format!("{own}: expected true or false, found {}", quoted(&text));
            Err(Rejection::new(Reason::Malformed, detail))
        }
    }
}

/// A list of tags as JSON: an array, or a text with commas or semicolons between them.
fn tags(feature: &Feature<'_>) -> Option<String> {
    let (_, value) = feature.property("tags")?;
    if value.starts_with('{') {
        return None; // all that OpenStreetMap knows of the object
    }
    let tags: Vec<String> = match serde_json::from_str::<Vec<&RawValue>>(value) {
        Ok(items) => items.iter().filter_map(|item| as_text(item.get())).map(Cow::into_owned).collect(),
        Err(_) => as_text(value)?.split([',', ';']).map(|tag| tag.trim().to_owned()).collect(),
    };
    Some(serde_json::Value::from(tags).to_string())
}
