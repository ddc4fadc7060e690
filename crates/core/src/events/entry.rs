//! One entry of a stream, in whichever shape.

use std::borrow::Cow;

use super::binary::UnknownVersion;
use super::fields::{Field, Fields, Value};
use super::limits::Limits;
use super::rejected::{MAX_KEPT_BYTES, Raw, Whole, hexadecimal};
use super::rejection::{Reason, Rejection, quoted};
use super::{Event, binary, json, plain};

/// The field that holds a JSON event or an array of them.
const JSON: &[u8] = b"json";
/// The field that holds a binary batch.
const BINARY: &[u8] = b"bin";
const RECEIVED_AT: &[u8] = b"received_at";
/// The field with the reason for which a producer has refused what the entry holds.
const REFUSED: &[u8] = b"refused";
/// Beside it: the bytes that are refused, or their beginning; what is wrong with them; and of bytes that are cut off,
/// the size and the SHA-256 of the whole.
const EVENT: &[u8] = b"event";
const DETAIL: &[u8] = b"detail";
const SIZE_BYTES: &[u8] = b"size_bytes";
const SHA256: &[u8] = b"sha256";

/// An event of an entry, or why it is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<'a> {
    /// Its place in the entry.
    pub index: usize,
    /// The bytes it was read from, to be kept if it is refused. Of a plain entry that is not
    /// refused: none; of one that is: `name value` lines.
    pub bytes: Cow<'a, [u8]>,
    /// If a producer has refused it and appended only its beginning: of the whole.
    pub whole: Option<Whole>,
    /// The event, or why it is refused.
    pub result: Result<Event<'a>, Rejection>,
}

/// Reads the fields of an entry: `json`, `bin`, or the event itself in plain fields. A field
/// `received_at` beside the first two holds for all events of the entry that do not say their own;
/// other fields beside them are passed over. An entry with the field `refused` holds no event, whatever else it has: a
/// producer has refused what is in it, for that reason, and it is only to be kept.
pub fn decode_entry<'a>(
    fields: &[(&'a [u8], &'a [u8])],
    limits: &Limits,
    mut sink: impl FnMut(Decoded<'a>),
) -> Result<(), UnknownVersion> {
    let mut refuse_all =
        |bytes: Cow<'a, [u8]>, rejection| sink(Decoded { index: 0, bytes, whole: None, result: Err(rejection) });
    let size: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > limits.max_entry_bytes {
        let detail = format!("expected at most {} bytes, found {size}", limits.max_entry_bytes);
        refuse_all(field_lines(fields), Rejection::new(Reason::TooLarge, detail));
        return Ok(());
    }
    let value = |name: &[u8]| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
    let (json, binary) = (value(JSON), value(BINARY));
    if let Some(word) = value(REFUSED) {
        let bytes = value(EVENT).or(json).or(binary).map_or_else(|| field_lines(fields), Cow::Borrowed);
        let whole = value(SIZE_BYTES).zip(value(SHA256)).and_then(|(size, sha256)| whole(size, sha256));
        sink(Decoded { index: 0, bytes, whole, result: Err(by_its_producer(word, value(DETAIL))) });
        return Ok(());
    }
    let Some(batch) = json.or(binary) else {
        let result = plain::decode(fields, limits);
        let bytes = if result.is_ok() { Cow::default() } else { field_lines(fields) };
        sink(Decoded { index: 0, bytes, whole: None, result });
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

/// The fields of an entry that holds what a producer has refused.
pub fn refused_fields<'a>(
    rejection: &'a Rejection,
    raw: &Raw<'a>,
    texts: &'a mut [String; 2],
) -> Vec<(&'static [u8], &'a [u8])> {
    let kept = &raw.bytes[..raw.bytes.len().min(MAX_KEPT_BYTES)];
    let mut fields =
        vec![(REFUSED, rejection.reason.as_str().as_bytes()), (DETAIL, rejection.detail.as_bytes()), (EVENT, kept)];
    if kept.len() < raw.bytes.len() || raw.whole.is_some() {
        let Whole { size_bytes, sha256 } = raw.whole();
        *texts = [size_bytes.to_string(), hexadecimal(&sha256)];
        fields.extend([(SIZE_BYTES, texts[0].as_bytes()), (SHA256, texts[1].as_bytes())]);
    }
    fields
}

/// For which reason a producer has refused an event.
fn by_its_producer(word: &[u8], detail: Option<&[u8]>) -> Rejection {
    let detail = detail.map(String::from_utf8_lossy).unwrap_or_default();
    let word = String::from_utf8_lossy(word);
    match Reason::from_word(&word) {
        Some(reason) => Rejection::new(reason, detail),
        None => {
            let detail = format!("refused by its producer as \"{}\": {detail}", quoted(&word));
            Rejection::new(Reason::Malformed, detail)
        }
    }
}

fn whole(size_bytes: &[u8], sha256: &[u8]) -> Option<Whole> {
    let size_bytes = std::str::from_utf8(size_bytes).ok()?.parse().ok()?;
    let digits = std::str::from_utf8(sha256).ok().filter(|digits| digits.len() == 64 && digits.is_ascii())?;
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(Whole { size_bytes, sha256: bytes })
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The kept bytes of a refused entry, size and digest of the whole if it is longer, and the reason.
    fn refused(fields: &[(&[u8], &[u8])]) -> (Vec<u8>, Option<Whole>, Rejection) {
        let mut found = Vec::new();
        decode_entry(fields, &Limits::default(), |decoded| {
            found.push((decoded.bytes.into_owned(), decoded.whole, decoded.result.unwrap_err()));
        })
        .unwrap();
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    #[test]
    fn what_a_producer_refuses_is_read_as_it_was_written() {
        let long = vec![b'x'; MAX_KEPT_BYTES + 1];
        for bytes in [b"A,2031-11-07T10:17:47Z,3.37,6.5".as_slice(), b"\xff\0", b"", &long] {
            for reason in Reason::ALL {
                let rejection = Rejection::new(reason, "what was wrong");
                let (raw, mut texts) = (Raw::complete(bytes), Default::default());
                let (kept, whole, found) = refused(&refused_fields(&rejection, &raw, &mut texts));
                assert_eq!((kept.as_slice(), found), (&bytes[..bytes.len().min(MAX_KEPT_BYTES)], rejection));
                assert_eq!(whole, (bytes.len() > MAX_KEPT_BYTES).then(|| raw.whole()));
            }
        }
    }

    #[test]
    fn whatever_a_refused_entry_holds_is_no_event() {
        let clock = br#"{"type":"clock","now":"2026-11-23T06:00:00Z"}"#;
        let (bytes, _, rejection) = refused(&[(b"refused", b"future"), (b"json", clock)]);
        assert_eq!((bytes.as_slice(), rejection.reason), (clock.as_slice(), Reason::Future));
        let plain: [(&[u8], &[u8]); 3] = [(b"type", b"clock"), (b"now", b"1795435200000"), (b"refused", b"no such")];
        let (bytes, _, rejection) = refused(&plain);
        assert_eq!(bytes, b"type clock\nnow 1795435200000\nrefused no such\n");
        assert_eq!(rejection.reason, Reason::Malformed);
        assert!(rejection.detail.contains("no such"), "{rejection}");
    }
}
