//! The fields of a stream entry as an event: names and texts.
//!
//! Names are those of the JSON members. `geometry` and `attributes` hold JSON, `tags` a JSON array
//! or a comma-separated list. What else a position has becomes attributes, as strings.

use super::Event;
use super::attributes::{Builder, push_string};
use super::build;
use super::encode::walk;
use super::fields::{Field, Fields, Value};
use super::json::utf8;
use super::limits::Limits;
use super::rejection::Rejection;
use super::rule;

/// Reads an event from names and values. The caller has checked their total size.
pub fn decode<'a>(pairs: &[(&'a [u8], &'a [u8])], limits: &Limits) -> Result<Event<'a>, Rejection> {
    let mut fields = Fields::default();
    for &(name, value) in pairs {
        let (name, value) = (utf8(name)?, utf8(value)?);
        if let Some(field) = Field::from_name(name) {
            fields.set(field, Value::Text(value))?;
        }
    }
    let collect = || {
        let mut attributes = Builder::default();
        for &(name, value) in pairs {
            let (name, value) = (utf8(name)?, utf8(value)?);
            if Field::of_position(name).is_none() && name != Field::Type.name() {
                let mut key = String::with_capacity(name.len() + 2);
                push_string(&mut key, name);
                attributes.push(&key, value)?;
            }
        }
        Ok(attributes)
    };
    build::event(&fields, collect, limits)
}

/// Writes an event as names and values; a rule as the one field `json`.
pub fn encode(event: &Event<'_>) -> Vec<(&'static str, String)> {
    if let Event::Rule(change) = event {
        return vec![("json", rule::encode(change))];
    }
    let mut pairs = Vec::with_capacity(8);
    walk(event, &mut |field, token| pairs.push((field.name(), token.to_text())));
    pairs
}
