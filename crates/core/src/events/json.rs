//! One JSON object an event, or an array of them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::attributes;
use super::build;
use super::encode::{Token, walk};
use super::fields::{Field, Fields, Value};
use super::limits::Limits;
use super::rejection::{Reason, Rejection, quoted};
use super::rule;
use super::{Decoded, Event};

/// Reads one event.
pub fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Event<'a>, Rejection> {
    check_size(bytes, limits)?;
    decode_text(utf8(bytes)?, limits)
}

/// Reads an event, or an array of events with their indices.
pub fn decode_many<'a>(bytes: &'a [u8], limits: &Limits, mut sink: impl FnMut(Decoded<'a>)) {
    let mut one =
        |index, bytes: &'a [u8], result| sink(Decoded { index, bytes: Cow::Borrowed(bytes), whole: None, result });
    if !bytes.trim_ascii_start().starts_with(b"[") {
        return one(0, bytes, decode(bytes, limits));
    }
    let items = check_size(bytes, limits).and_then(|()| utf8(bytes)).and_then(|text| {
        serde_json::from_str::<Vec<&RawValue>>(text).map_err(|fault| malformed("an array of events", text, &fault))
    });
    match items {
        Err(rejection) => one(0, bytes, Err(rejection)),
        Ok(items) => items
            .into_iter()
            .map(RawValue::get)
            .enumerate()
            .for_each(|(index, item)| one(index, item.as_bytes(), decode_text(item, limits))),
    }
}

/// Writes an event as one line, without a line break.
pub fn encode(event: &Event<'_>) -> String {
    if let Event::Rule(change) = event {
        return rule::encode(change);
    }
    let mut json = String::with_capacity(192);
    walk(event, &mut |field, token| {
        json.push(if json.is_empty() { '{' } else { ',' });
        attributes::push_string(&mut json, field.name());
        json.push(':');
        match token {
            Token::Text(text) => attributes::push_string(&mut json, text),
            Token::Time(_) => attributes::push_string(&mut json, &token.to_text()),
            Token::Number(_) | Token::Bool(_) | Token::Json(_) => json.push_str(&token.to_text()),
        }
    });
    json.push('}');
    json
}

/// Text, or `invalid_utf8`.
pub fn utf8(bytes: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(bytes)
        .map_err(|fault| Rejection::new(Reason::InvalidUtf8, format!("not UTF-8 from byte {}", fault.valid_up_to())))
}

/// Nothing, or `too_large`.
pub fn check_size(bytes: &[u8], limits: &Limits) -> Result<(), Rejection> {
    if bytes.len() <= limits.max_entry_bytes {
        return Ok(());
    }
    let detail = format!("expected at most {} bytes, found {}", limits.max_entry_bytes, bytes.len());
    Err(Rejection::new(Reason::TooLarge, detail))
}

/// A fault that serde_json found in a text.
pub fn malformed(expected: &str, json: &str, fault: &serde_json::Error) -> Rejection {
    Rejection::new(Reason::Malformed, format!("expected {expected}, found {}: {fault}", quoted(json)))
}

fn decode_text<'a>(text: &'a str, limits: &Limits) -> Result<Event<'a>, Rejection> {
    let Members { known, unknown } =
        serde_json::from_str(text).map_err(|fault| malformed("a JSON object", text, &fault))?;
    if known.string(Field::Type)?.as_deref() == Some("rule") {
        return rule::decode(text, limits);
    }
    build::event(&known, || attributes_of(&known, &unknown), limits)
}

/// The members that a position has no field for.
fn attributes_of(known: &Fields<'_>, unknown: &[(String, &str)]) -> Result<attributes::Builder, Rejection> {
    let mut attributes = attributes::Builder::default();
    let mut key = String::new();
    let foreign = Field::foreign_to_positions().filter_map(|field| Some((field.name(), known.get(field)?)));
    let foreign = foreign.map(|(name, value)| (name, value.text().to_owned()));
    let unknown = unknown.iter().map(|(name, value)| (name.as_str(), (*value).to_owned()));
    for (name, value) in foreign.chain(unknown) {
        key.clear();
        attributes::push_string(&mut key, name);
        attributes.push_json(&key, &value)?;
    }
    Ok(attributes)
}

/// The members of an object: those that are fields, and all others with their names.
pub struct Members<'a> {
    pub(crate) known: Fields<'a>,
    pub(crate) unknown: Vec<(String, &'a str)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members<'de>, A::Error> {
        let (mut known, mut unknown) = (Fields::default(), Vec::new());
        while let Some(key) = members.next_key()? {
            let value = members.next_value::<&RawValue>()?.get();
            match key {
                Key::Known(field) => {
                    known.set(field, Value::Json(value)).map_err(|rejection| A::Error::custom(rejection.detail))?
                }
                Key::Unknown(name) => unknown.push((name, value)),
            }
        }
        Ok(Members { known, unknown })
    }
}

enum Key {
    Known(Field),
    Unknown(String),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
                Ok(Field::from_name(name).map_or_else(|| Key::Unknown(name.to_owned()), Key::Known))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
