//! One entry of a stream, in whichever shape.

use std::borrow::Cow;

use super::binary::UnknownVersion;
use super::fields::{Field, Fields, Value};
use super::limits::Limits;
use super::rejection::{Reason, Rejection};
use super::{Event, binary, json, plain};

/// The field that holds a JSON event or an array of them.
const JSON: &[u8] = b"json";
/// The field that holds a binary batch.
const BINARY: &[u8] = b"bin";
const RECEIVED_AT: &[u8] = b"received_at";

/// An event of an entry, or why it is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<'a> {
    /// Its place in the entry.
    pub index: usize,
    /// The bytes it was read from, to be kept if it is refused. Of a plain entry that is not
    /// refused: none; of one that is: `name value` lines.
    pub bytes: Cow<'a, [u8]>,
    /// The event.
    pub result: Result<Event<'a>, Rejection>,
}

/// Reads the fields of an entry: `json`, `bin`, or the event itself in plain fields. A field
/// `received_at` beside the first two holds for all events of the entry that do not say their own;
/// other fields beside them are passed over.
pub fn decode_entry<'a>(
    fields: &[(&'a [u8], &'a [u8])],
    limits: &Limits,
    mut sink: impl FnMut(Decoded<'a>),
) -> Result<(), UnknownVersion> {
    let mut refuse_all = |bytes: Cow<'a, [u8]>, rejection| sink(Decoded { index: 0, bytes, result: Err(rejection) });
    let size: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > limits.max_entry_bytes {
        let detail = format!("expected at most {} bytes, found {size}", limits.max_entry_bytes);
        refuse_all(field_lines(fields), Rejection::new(Reason::TooLarge, detail));
        return Ok(());
    }
    let value = |name: &[u8]| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
    let (json, binary) = (value(JSON), value(BINARY));
    let Some(batch) = json.or(binary) else {
        let result = plain::decode(fields, limits);
        let bytes = if result.is_ok() { Cow::default() } else { field_lines(fields) };
        sink(Decoded { index: 0, bytes, result });
        return Ok(());
    };
    if json.is_some() && binary.is_some() {
        let rejection = Rejection::new(Reason::Malformed, "an entry has either json or bin, not both");
        refuse_all(field_lines(fields), rejection);
        return Ok(());
    }
    let received_at = match value(RECEIVED_AT).map_or(Ok(None), time) {
        Ok(received_at) => received_at,
        Err(rejection) => {
            refuse_all(Cow::Borrowed(batch), rejection);
            return Ok(());
        }
    };
    let dated = |mut decoded: Decoded<'a>| {
        if let Ok(event) = &mut decoded.result {
            let own = event.received_at_mut();
            *own = own.or(received_at);
        }
        sink(decoded);
    };
    match json {
        Some(text) => json::decode_many(text, limits, dated),
        None => binary::decode(batch, limits, dated)?,
    }
    Ok(())
}

fn time(text: &[u8]) -> Result<Option<i64>, Rejection> {
    let mut fields = Fields::default();
    fields.set(Field::ReceivedAt, Value::Text(json::utf8(text)?))?;
    fields.any_time(Field::ReceivedAt)
}

/// The fields of an entry as lines, for people.
pub fn field_lines<'a>(fields: &[(&[u8], &[u8])]) -> Cow<'a, [u8]> {
    fields.iter().flat_map(|(name, value)| [name, b" ".as_slice(), value, b"\n"].concat()).collect()
}
