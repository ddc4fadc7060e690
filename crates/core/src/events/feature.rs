//! A GeoJSON feature as a geofence event: its properties are the event's members.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use watchtower_model::Millis;

use super::Event;
use super::build;
use super::fields::{Field, Fields, Value};
use super::ids::check_geofence_id;
use super::json::{Members, malformed};
use super::limits::Limits;
use super::rejection::{Reason, Rejection, quoted};

/// Members that a feature must have. An absent member and a null one differ.
#[derive(Deserialize)]
struct Members7946<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    geometry: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

fn even_null<'de: 'a, 'a, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A feature whose id is known.
#[derive(Debug)]
pub struct Feature<'a> {
    id: Cow<'a, str>,
    fields: Fields<'a>,
}

impl<'a> Feature<'a> {
    /// Reads a feature. Its id is the member `id`, or else the property `id`.
    pub fn parse(json: &'a str) -> Result<Self, Rejection> {
        let feature: Members7946<'a> =
            serde_json::from_str(json).map_err(|fault| malformed("a GeoJSON feature", json, &fault))?;
        if feature.kind.map(RawValue::get) != Some(r#""Feature""#) {
            let found = quoted(feature.kind.map_or("nothing", RawValue::get));
            return Err(Rejection::new(Reason::Malformed, format!("type: expected \"Feature\", found {found}")));
        }
        let properties = match feature.properties.map(RawValue::get) {
            None => return Err(Rejection::new(Reason::MissingField, "properties is missing")),
            Some("null") => "{}",
            Some(properties) => properties,
        };
        let fault = |fault| malformed("properties to be an object", properties, &fault);
        let Members { known: mut fields, .. } = serde_json::from_str(properties).map_err(fault)?;
        let id = match feature.id {
            Some(id) => Some(id),
            None => serde_json::from_str::<Id<'a>>(properties).map_err(fault)?.id,
        };
        let Some(id) = id else {
            return Err(Rejection::new(Reason::MissingField, "id is missing, as a member and as a property"));
        };
        fields.replace(Field::Geometry, feature.geometry.map(|geometry| Value::Json(geometry.get())));
        let id = id_text(id.get())?;
        check_geofence_id(&id)?;
        Ok(Self { id, fields })
    }

    /// Key that is unique among the features of a file: id and `valid_from`.
    pub fn key(&self, limits: &Limits) -> Result<(String, Option<Millis>), Rejection> {
        Ok((self.id.to_string(), self.fields.time(Field::ValidFrom, limits)?))
    }

    /// The event that announces the geofence of the feature.
    pub fn event(self, limits: &Limits) -> Result<Event<'a>, Rejection> {
        build::geofence_with_id(self.id, &self.fields, limits)
    }
}

/// A string, or a number in decimal.
fn id_text(json: &str) -> Result<Cow<'_, str>, Rejection> {
    let id = if json.starts_with('"') {
        serde_json::from_str::<String>(json).ok().map(Cow::Owned)
    } else if json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        Some(Cow::Borrowed(json))
    } else {
        json.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number.to_string().into())
    };
    id.ok_or_else(|| {
        Rejection::new(Reason::Malformed, format!("id: expected a string or a number, found {}", quoted(json)))
    })
}
