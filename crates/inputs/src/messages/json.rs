//! Bodies of JSON: their depth, their records, and where one is broken.

use serde_json::value::RawValue;

use super::Format;
use super::message::{MessageError, Options};
use crate::members::{Object, as_text};

/// The body as text, without a byte order mark.
pub(super) fn text(format: Format, body: &[u8]) -> Result<&str, MessageError> {
    let text = std::str::from_utf8(body).map_err(|fault| {
        let place = format!("body, byte {}", fault.valid_up_to());
        MessageError::unreadable(format, place, "expected UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The elements of an array, or the one value that the body is.
pub(super) fn records<'a>(format: Format, body: &'a [u8], options: &Options) -> Result<Vec<&'a str>, MessageError> {
    let text = text(format, body)?;
    if text.trim_ascii().is_empty() {
        return Err(MessageError::unreadable(format, "body", "it is empty; expected JSON"));
    }
    if let Some(at) = too_deep(text, options.max_json_depth) {
        return Err(MessageError::TooDeep { most: options.max_json_depth, at });
    }
    if !text.trim_ascii_start().starts_with('[') {
        return Ok(vec![value(format, text)?]);
    }
    let items = serde_json::from_str::<Vec<&RawValue>>(text).map_err(|fault| broken(format, &fault))?;
    Ok(items.into_iter().map(RawValue::get).collect())
}

/// A text that is one JSON value, without the white space around it.
pub(super) fn value(format: Format, text: &str) -> Result<&str, MessageError> {
    serde_json::from_str::<&RawValue>(text).map(RawValue::get).map_err(|fault| broken(format, &fault))
}

fn broken(format: Format, fault: &serde_json::Error) -> MessageError {
    let place = format!("body, line {}, column {}", fault.line(), fault.column());
    let shown = fault.to_string();
    let shown = shown.split(" at line ").next().unwrap_or_default();
    MessageError::unreadable(format, place, format!("expected JSON: {shown}"))
}

/// Where the first bracket is that lies within `most` others.
pub(super) fn too_deep(text: &str, most: usize) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return Some(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The first of these members that an object has as a text or number: the vehicle of a record that is refused.
pub(super) fn named(record: &str, members: &[&str]) -> Option<String> {
    let object = Object::parse(record).ok()?;
    let value = members.iter().find_map(|name| object.get(name).filter(|value| *value != "null"))?;
    as_text(value).map(String::from).filter(|text| !text.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_brackets_outside_strings() {
        assert_eq!(too_deep(r#"{"a":["[[[[","\"["]}"#, 2), None);
        assert_eq!(too_deep(r#"{"a":[{}]}"#, 2), Some(6));
        assert_eq!(too_deep("][[", 1), Some(2));
        let deep = "[".repeat(1_000_000);
        assert_eq!(too_deep(&deep, 64), Some(64));
    }

    #[test]
    fn a_broken_body_names_its_place() {
        let options = Options::default();
        let fault = records(Format::Native, b"{\"a\":1,\n\"b\":}", &options).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "not a message of format native, body, line 2, column 5: expected JSON: expected value"
        );
        assert!(records(Format::Native, b"\xff", &options).unwrap_err().to_string().contains("byte 0: expected UTF-8"));
        assert!(records(Format::Native, b" \n", &options).unwrap_err().to_string().contains("it is empty"));
        assert!(records(Format::Native, b"{} {}", &options).is_err());
        assert_eq!(records(Format::Native, b"\xef\xbb\xbf[1, {} ,[]]", &options), Ok(vec!["1", "{}", "[]"]));
        let deep = "[".repeat(100_000);
        assert!(records(Format::Native, deep.as_bytes(), &options).unwrap_err().is_too_large());
    }

    #[test]
    fn the_vehicle_of_a_record() {
        assert_eq!(named(r#"{"id":null,"tid":7}"#, &["id", "tid"]).as_deref(), Some("7"));
        assert_eq!(named(r#"{"id":"A\n"}"#, &["id"]).as_deref(), Some("A\n"));
        assert_eq!(named("[", &["id"]), None);
    }
}
