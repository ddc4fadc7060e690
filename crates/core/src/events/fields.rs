//! The fields of an event before anyone knows what event it is: one slot for each known name, filled
//! from JSON members, plain fields, CSV columns or GeoJSON properties alike.

use std::borrow::Cow;

use watchtower_model::Millis;

use super::attributes;
use super::limits::Limits;
use super::rejection::{Reason, Rejection, quoted};
use super::time;

/// The longest name, kind, fleet or tag, in characters: they become keys of tables.
pub const MAX_TEXT_CHARS: usize = 256;

macro_rules! fields {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// A known field, whichever events have it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $(
                #[doc = concat!("`", $name, "`")]
                $field,
            )*
        }

        impl Field {
            const NAMES: &[&str] = &[$($name),*];
            const ALL: &[Self] = &[$(Self::$field),*];

            /// By its name on the wire; `heading` is read as `heading_deg`.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$field),)*
                    "heading" => Some(Self::HeadingDeg),
                    _ => None,
                }
            }
        }
    };
}

fields! {
    Type = "type",
    ReceivedAt = "received_at",
    VehicleId = "vehicle_id",
    Ts = "ts",
    Lon = "lon",
    Lat = "lat",
    SpeedKmh = "speed_kmh",
    HeadingDeg = "heading_deg",
    AccuracyM = "accuracy_m",
    AltitudeM = "altitude_m",
    Ignition = "ignition",
    Attributes = "attributes",
    Deleted = "deleted",
    GeofenceId = "geofence_id",
    ValidFrom = "valid_from",
    Name = "name",
    Kind = "kind",
    Anchor = "anchor",
    Tags = "tags",
    MinDwellS = "min_dwell_s",
    ExitBufferM = "exit_buffer_m",
    SpeedLimitKmh = "speed_limit_kmh",
    OfflineAfterS = "offline_after_s",
    RadiusM = "radius_m",
    Geometry = "geometry",
    Fleet = "fleet",
    Now = "now",
}

impl Field {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// By its name, if it is one that a position has; what else one is given are attributes.
    pub fn of_position(name: &str) -> Option<Self> {
        Self::from_name(name).filter(|field| field.is_of_position())
    }

    /// The fields that a position does not have: given with one, they are attributes of it. Not `type`.
    pub(super) fn foreign_to_positions() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|field| *field != Self::Type && !field.is_of_position())
    }

    fn is_of_position(self) -> bool {
        match self {
            Self::ReceivedAt | Self::VehicleId | Self::Ts | Self::Lon | Self::Lat | Self::SpeedKmh => true,
            Self::HeadingDeg | Self::AccuracyM | Self::AltitudeM | Self::Ignition => true,
            Self::Attributes | Self::Deleted => true,
            Self::Type | Self::GeofenceId | Self::ValidFrom | Self::Name | Self::Kind | Self::Anchor => false,
            Self::Tags | Self::MinDwellS | Self::ExitBufferM | Self::SpeedLimitKmh | Self::RadiusM => false,
            Self::Geometry | Self::Fleet | Self::OfflineAfterS | Self::Now => false,
        }
    }

    fn is_id(self) -> bool {
        matches!(self, Self::VehicleId | Self::GeofenceId)
    }
}

/// A field's value as it was written.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// The text of a valid JSON value; its type counts.
    Json(&'a str),
    /// Bare text, whose meaning depends on the field.
    Text(&'a str),
}

impl Value<'_> {
    /// As it was written.
    pub fn text(&self) -> &str {
        match self {
            Self::Json(text) | Self::Text(text) => text,
        }
    }
}

/// The known fields of one event.
#[derive(Clone, Debug, Default)]
pub struct Fields<'a>([Option<Value<'a>>; Field::NAMES.len()]);

impl<'a> Fields<'a> {
    /// Sets a field. JSON `null` and empty text are no value, except that an empty id is a bad id.
    pub fn set(&mut self, field: Field, value: Value<'a>) -> Result<(), Rejection> {
        match value {
            Value::Json("null") => return Ok(()),
            Value::Text("") if !field.is_id() => return Ok(()),
            Value::Json(_) | Value::Text(_) => {}
        }
        match self.0[field as usize].replace(value) {
            None => Ok(()),
            Some(_) => Err(Rejection::new(Reason::Malformed, format!("{} is given twice", field.name()))),
        }
    }

    /// Sets a field whatever it was.
    pub fn replace(&mut self, field: Field, value: Option<Value<'a>>) {
        self.0[field as usize] = value;
    }

    /// The value as it was written.
    pub fn get(&self, field: Field) -> Option<Value<'a>> {
        self.0[field as usize]
    }

    /// Whether all of these are there, whatever they say: an event that lacks a field is refused for
    /// that before it is for a bad value.
    pub fn require(&self, fields: &[Field]) -> Result<(), Rejection> {
        fields.iter().try_for_each(|&field| required(field, self.get(field)).map(|_| ()))
    }

    /// A string of any kind. An id may be a JSON number: its digits as written.
    pub fn string(&self, field: Field) -> Result<Option<Cow<'a, str>>, Rejection> {
        self.read(field, "a string", |value| match value {
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Json(text) if field.is_id() && text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                Some(Cow::Borrowed(text))
            }
            Value::Json(text) => unquoted(text),
        })
    }

    /// A name for people or tables: not longer than [`MAX_TEXT_CHARS`]; the empty one is none.
    pub fn label(&self, field: Field) -> Result<Option<String>, Rejection> {
        let Some(text) = self.string(field)? else { return Ok(None) };
        check_label(field, &text)?;
        Ok(Some(text.into_owned()).filter(|text| !text.is_empty()))
    }

    /// A number, perhaps not finite.
    pub fn number(&self, field: Field) -> Result<Option<f64>, Rejection> {
        self.read(field, "a number", |value| match value {
            Value::Text(text) => text.trim_ascii().parse().ok(),
            Value::Json(text) if text.starts_with(['"', '{', '[', 't', 'f']) => None,
            Value::Json(text) => text.parse().ok(),
        })
    }

    /// `true` or `false`; as text also 1, 0, yes and no, in either case.
    pub fn boolean(&self, field: Field) -> Result<Option<bool>, Rejection> {
        self.read(field, "true or false", |value| match value {
            Value::Json("true") => Some(true),
            Value::Json("false") => Some(false),
            Value::Json(_) => None,
            Value::Text(text) => {
                let text = text.trim_ascii();
                let is_any = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
                is_any(["true", "1", "yes"]).then_some(true).or_else(|| is_any(["false", "0", "no"]).then_some(false))
            }
        })
    }

    /// An instant within the accepted range.
    pub fn time(&self, field: Field, limits: &Limits) -> Result<Option<Millis>, Rejection> {
        self.any_time(field)?.map(|ms| check_time(field.name(), ms, limits)).transpose()
    }

    /// A time of whatever year: what a producer says of the arrival is compared, never stored.
    pub fn any_time(&self, field: Field) -> Result<Option<Millis>, Rejection> {
        self.read(field, "an RFC 3339 time or epoch milliseconds", |value| match value {
            Value::Text(text) => time::parse(text),
            Value::Json(text) if text.starts_with('"') => time::parse(&unquoted(text)?),
            Value::Json(text) => time::parse_number(text),
        })
    }

    /// A JSON object as text; the empty one is none.
    pub fn object(&self, field: Field, limits: &Limits) -> Result<Option<Cow<'a, str>>, Rejection> {
        let Some(Value::Json(text) | Value::Text(text)) = self.get(field) else { return Ok(None) };
        attributes::checked(field.name(), text, limits)
    }

    /// A list of labels: a JSON array of strings, or comma-separated text. Empty ones are left out.
    pub fn labels(&self, field: Field) -> Result<Vec<String>, Rejection> {
        let separated = |text: &str| text.split(',').map(|label| label.trim().to_owned()).collect();
        let labels: Option<Vec<String>> = self.read(field, "a list of strings", |value| match value {
            Value::Text(text) if !text.trim_ascii_start().starts_with('[') => Some(separated(text)),
            Value::Json(text) if text.starts_with('"') => Some(separated(&unquoted(text)?)),
            Value::Json(text) | Value::Text(text) => serde_json::from_str(text).ok(),
        })?;
        let mut labels = labels.unwrap_or_default();
        labels.retain(|label| !label.is_empty());
        labels.iter().try_for_each(|label| check_label(field, label))?;
        Ok(labels)
    }

    fn read<T>(
        &self,
        field: Field,
        expected: &str,
        parse: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, Rejection> {
        let Some(value) = self.get(field) else { return Ok(None) };
        parse(value).map(Some).ok_or_else(|| {
            let detail = format!("{}: expected {expected}, found {}", field.name(), quoted(value.text()));
            Rejection::new(Reason::Malformed, detail)
        })
    }
}

/// The value of a required field.
pub fn required<T>(field: Field, value: Option<T>) -> Result<T, Rejection> {
    value.ok_or_else(|| Rejection::new(Reason::MissingField, format!("{} is missing", field.name())))
}

/// The instant, if it is within the accepted range.
pub fn check_time(name: &str, ms: Millis, limits: &Limits) -> Result<Millis, Rejection> {
    if (limits.earliest..limits.latest).contains(&ms) {
        return Ok(ms);
    }
    let (given, earliest, latest) = (time::format(ms), time::format(limits.earliest), time::format(limits.latest));
    let detail = format!("{name}: expected an instant from {earliest} to before {latest}, found {given}");
    Err(Rejection::new(Reason::TimeRange, detail))
}

fn check_label(field: Field, text: &str) -> Result<(), Rejection> {
    if text.len() > MAX_TEXT_CHARS && text.chars().count() > MAX_TEXT_CHARS {
        let detail = format!("{}: expected at most {MAX_TEXT_CHARS} characters, found {}", field.name(), quoted(text));
        return Err(Rejection::new(Reason::TooLarge, detail));
    }
    if text.contains('\0') {
        return Err(Rejection::new(Reason::Malformed, format!("{}: U+0000 is not allowed", field.name())));
    }
    Ok(())
}

/// Text of a JSON string; borrowed if it has no escapes.
fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}
