//! Pages of records as JSON, of whatever server: where the records are, what their members are, and where the next page
//! begins is configured as JSON pointers (RFC 6901).
//!
//! A record is one position. Where positions lie in an array within a record, as `locations` of a vehicle, `each` names
//! that array: a field is looked up in the position, then in the record around it. Members of the position that no
//! pointer names are attributes.

use serde_json::Value;
use watchtower_core::events::{Event, Reason, Rejection, quoted};

use super::collect::Items;
use super::json;
use super::message::{Item, Message, MessageError, Options};
use super::terms::terms;
use crate::aliases::Slot;
use crate::draft::{Draft, Terms};
use crate::notes::Notes;
use crate::reading::SpeedUnit;

/// The fields of a record that may be named, as the configuration has them.
pub const RECORD_FIELDS: [&str; 9] =
    ["vehicle_id", "ts", "lon", "lat", "speed", "heading_deg", "accuracy_m", "altitude_m", "ignition"];

const SLOTS: [Slot; 9] = [
    Slot::VehicleId,
    Slot::Ts,
    Slot::Lon,
    Slot::Lat,
    Slot::Speed,
    Slot::Heading,
    Slot::Accuracy,
    Slot::Altitude,
    Slot::Ignition,
];

/// Where in a page what is: JSON pointers, `""` for the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The array of records.
    pub records: String,
    /// The array of positions within a record; None if a record is a position.
    pub each: Option<String>,
    /// The fields, each by one of [`RECORD_FIELDS`].
    pub fields: Vec<(String, String)>,
    /// The cursor of the next page.
    pub next_cursor: Option<String>,
    /// Whether the next page has something already: true, or a number other than 0.
    pub more: Option<String>,
}

/// A page of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Its events and refusals.
    pub items: Vec<Item>,
    /// Where the next page begins, if the server gives a cursor.
    pub next_cursor: Option<String>,
    /// Whether the next page has something already.
    pub more: bool,
}

/// The page as a whole cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// It is no JSON, or has no array where one is expected.
    #[error("the answer is not a page of records: {0}")]
    Unreadable(String),
    /// It exceeds a limit.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Whether a text is a JSON pointer.
pub fn is_pointer(text: &str) -> bool {
    let escapes_are_known = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes_are_known
}

/// Reads a page.
///
/// # Errors
/// If it cannot be read as a whole or exceeds a limit; a record that cannot be read is an item.
pub fn read_page(records: &Records, message: &Message<'_>, options: &Options) -> Result<Page, PageError> {
    let text = std::str::from_utf8(message.body).map_err(|_| PageError::Unreadable("expected UTF-8".to_owned()))?;
    if let Some(at) = json::too_deep(text, options.max_json_depth) {
        return Err(MessageError::TooDeep { most: options.max_json_depth, at }.into());
    }
    let page: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|fault| PageError::Unreadable(format!("expected JSON: {fault}")))?;
    let reader = Reader::new(records, message, options);
    let mut items = Items::new(message, options);
    let mut index = 0;
    for record in array(&page, &records.records, "records")? {
        let positions = match &records.each {
            None => std::slice::from_ref(record),
            // A vehicle without new positions may lack the array.
            Some(each) => record.pointer(each).and_then(Value::as_array).map_or(&[][..], Vec::as_slice),
        };
        for position in positions {
            let outer = records.each.is_some().then_some(record);
            let vehicle_id = reader.text("vehicle_id", position, outer);
            let result = reader.event(position, outer);
            items.push(index, position.to_string().as_bytes(), vehicle_id.as_deref(), result)?;
            index += 1;
        }
    }
    let at = |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| page.pointer(pointer));
    let more = at(&records.more).is_some_and(|more| match more {
        Value::Bool(more) => *more,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => false,
    });
    Ok(Page { items: items.finish(), next_cursor: at(&records.next_cursor).and_then(plain), more })
}

fn array<'a>(page: &'a Value, pointer: &str, name: &str) -> Result<&'a [Value], PageError> {
    match page.pointer(pointer) {
        Some(Value::Array(items)) => Ok(items),
        Some(Value::Null) => Ok(&[]),
        Some(_) => Err(PageError::Unreadable(format!("expected an array at {name} = {pointer:?}"))),
        None => Err(PageError::Unreadable(format!("it has nothing at {name} = {pointer:?}"))),
    }
}

/// A text, number or truth value as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Reads the records of one page.
struct Reader<'a> {
    records: &'a Records,
    terms: Terms,
    options: &'a Options,
}

impl<'a> Reader<'a> {
    fn new(records: &'a Records, message: &Message<'_>, options: &'a Options) -> Self {
        let terms = terms(message, options, options.speed_unit.unwrap_or(SpeedUnit::Kmh));
        Self { records, terms, options }
    }

    /// The value of a field as text.
    fn text(&self, field: &str, position: &Value, outer: Option<&Value>) -> Option<String> {
        let (_, pointer) = self.records.fields.iter().find(|(name, _)| name == field)?;
        let found = |value: &Value| value.pointer(pointer).and_then(plain);
        found(position).or_else(|| outer.and_then(found))
    }

    fn event(&self, position: &Value, outer: Option<&Value>) -> Result<Event<'static>, Rejection> {
        let Value::Object(members) = position else {
            let detail = format!("expected a JSON object, found {}", quoted(&position.to_string()));
            return Err(Rejection::new(Reason::Malformed, detail));
        };
        let (mut draft, mut notes) = (Draft::default(), Notes::default());
        for (field, slot) in RECORD_FIELDS.into_iter().zip(SLOTS) {
            if let Some(text) = self.text(field, position, outer) {
                draft.set(slot, text);
            }
        }
        for (name, value) in members.iter().filter(|(name, value)| !value.is_null() && !self.names(name)) {
            draft.attribute_json(name, &value.to_string(), &mut notes, 0);
        }
        draft.finish(&self.terms, &self.options.limits, &mut notes, 0)
    }

    /// Whether a pointer leads to or through this member.
    fn names(&self, member: &str) -> bool {
        let escaped = member.replace('~', "~0").replace('/', "~1");
        let first = |pointer: &str| pointer.split('/').nth(1).is_some_and(|segment| segment == escaped);
        self.records.fields.iter().any(|(_, pointer)| first(pointer))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use watchtower_core::events::json::encode;

    const ARRIVAL: i64 = 1_795_435_205_000;

    fn records(records: &str, each: Option<&str>, fields: &[(&str, &str)]) -> Records {
        Records {
            records: records.to_owned(),
            each: each.map(str::to_owned),
            fields: fields.iter().map(|(name, pointer)| ((*name).to_owned(), (*pointer).to_owned())).collect(),
            ..Records::default()
        }
    }

    fn page(records: &Records, body: &str, speed_unit: SpeedUnit) -> Result<Page, PageError> {
        let options = Options { speed_unit: Some(speed_unit), ..Options::default() };
        read_page(records, &Message::from_body(body.as_bytes(), ARRIVAL), &options)
    }

    fn outcomes(page: Page) -> Vec<(usize, Result<String, String>)> {
        let outcome = |item: Item| item.result.map(|event| encode(&event)).map_err(|refused| refused.detail);
        page.items.into_iter().map(|item| (item.index, outcome(item))).collect()
    }

    /// A feed of log records with a version, as telematics servers have it.
    fn versions() -> Records {
        let fields = [
            ("vehicle_id", "/device/id"),
            ("ts", "/dateTime"),
            ("lon", "/longitude"),
            ("lat", "/latitude"),
            ("speed", "/speed"),
        ];
        Records { next_cursor: Some("/result/toVersion".to_owned()), ..records("/result/data", None, &fields) }
    }

    #[test]
    fn a_record_is_a_position_and_the_rest_of_it_attributes() {
        let body = r#"{"result":{"data":[
            {"latitude":6.44,"longitude":3.36,"speed":36,"dateTime":"2026-11-23T12:00:00.000Z","device":{"id":"b1"},"id":"a7","x":null},
            {"latitude":96.44,"longitude":3.36,"dateTime":"2026-11-23T12:00:00Z","device":{"id":"b2"}},
            7],"toVersion":"000000000000001A"}}"#;
        let page = page(&versions(), body, SpeedUnit::Kmh).unwrap();
        assert_eq!((page.next_cursor.as_deref(), page.more), (Some("000000000000001A"), false));
        let refused = page.items[1].result.clone().unwrap_err();
        assert_eq!((refused.reason, refused.vehicle_id.as_deref()), (Reason::Coordinates, Some("b2")));
        let first = r#"{"type":"position","vehicle_id":"b1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":36.0,"attributes":{"id":"a7"},"received_at":"2026-11-23T12:00:05Z"}"#;
        let found = outcomes(page);
        assert_eq!(found[0], (0, Ok(first.to_owned())));
        assert!(found[2].1.clone().unwrap_err().starts_with("expected a JSON object"), "{found:?}");
    }

    #[test]
    fn positions_within_a_record_are_of_its_vehicle() {
        let fields =
            [("vehicle_id", "/id"), ("ts", "/time"), ("lon", "/longitude"), ("lat", "/latitude"), ("speed", "/speed")];
        let nested = Records {
            next_cursor: Some("/pagination/endCursor".to_owned()),
            more: Some("/pagination/hasNextPage".to_owned()),
            ..records("/data", Some("/locations"), &fields)
        };
        let body = r#"{"data":[{"id":112,"name":"Truck","locations":[
            {"time":"2026-11-23T12:00:00Z","latitude":6.44,"longitude":3.36,"speed":10},
            {"time":"2026-11-23T12:00:05Z","latitude":6.45,"longitude":3.36}]},{"id":113}],
            "pagination":{"endCursor":"c-2","hasNextPage":true}}"#;
        let page = page(&nested, body, SpeedUnit::Mph).unwrap();
        assert_eq!((page.next_cursor.as_deref(), page.more), (Some("c-2"), true));
        let found = outcomes(page);
        assert_eq!(found.len(), 2);
        assert!(found[0].1.clone().unwrap().contains(r#""vehicle_id":"112","ts":"2026-11-23T12:00:00Z""#), "{found:?}");
        assert!(found[0].1.clone().unwrap().contains(r#""speed_kmh":16.09"#), "{found:?}");
    }

    #[test]
    fn what_is_no_page_is_an_error_that_names_the_place() {
        for (body, expected) in [
            ("<html>", "expected JSON"),
            ("{}", "nothing at records = \"/result/data\""),
            (r#"{"result":{"data":{}}}"#, "expected an array"),
        ] {
            let fault = page(&versions(), body, SpeedUnit::Kmh).unwrap_err().to_string();
            assert!(fault.contains(expected), "{fault}");
        }
        let empty = page(&versions(), r#"{"result":{"data":[],"toVersion":7}}"#, SpeedUnit::Kmh).unwrap();
        assert_eq!((empty.items.len(), empty.next_cursor.as_deref()), (0, Some("7")));
        let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
        assert!(page(&versions(), &deep, SpeedUnit::Kmh).is_err());
    }

    #[test]
    fn pointers() {
        assert!(["", "/a", "/a~1b/0", "/a~0"].into_iter().all(is_pointer));
        assert!(!["a", "$.a", "/a~2", "/a~"].into_iter().any(is_pointer));
    }
}
