//! Arguments of a method, however they are sent: slack_sdk sends posts as JSON and look-ups as forms, @slack/web-api
//! sends everything as forms.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The arguments of a request by name. Forms have texts only, and JSON within them.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    values: Map<String, Value>,
    /// Whether they came as JSON, where a token is not accepted.
    is_json: bool,
}

impl Arguments {
    /// Reads a body by its content type, with what the URL has after `?`.
    ///
    /// # Errors
    /// The code with which Slack refuses them.
    pub(super) fn read(content_type: Option<&str>, query: &str, body: &[u8]) -> Result<Self, &'static str> {
        let mut arguments = Self { values: form(query), is_json: false };
        if body.is_empty() {
            return Ok(arguments);
        }
        let kind = content_type.ok_or("missing_post_type")?.split(';').next().unwrap_or_default().trim();
        let text = std::str::from_utf8(body).map_err(|_| "invalid_charset")?;
        match kind {
            "application/json" => match serde_json::from_str(text) {
                Ok(Value::Object(values)) => {
                    arguments.values.extend(values);
                    arguments.is_json = true;
                }
                Ok(_) => return Err("json_not_object"),
                Err(_) => return Err("invalid_json"),
            },
            "application/x-www-form-urlencoded" => arguments.values.extend(form(text)),
            _ => return Err("invalid_post_type"),
        }
        Ok(arguments)
    }

    /// The token among the arguments, which forms may have.
    pub(super) fn token(&self) -> Option<String> {
        if self.is_json { None } else { self.text("token") }
    }

    /// An argument that is a text, or a number.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.values.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// An argument that is true or false: JSON's, or 1, 0, true, false in a form.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.values.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => match text.as_str() {
                "1" | "true" => Some(true),
                "0" | "false" => Some(false),
                _ => None,
            },
            Value::Number(number) => number.as_i64().map(|number| number != 0),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// An argument with structure: JSON, which a form has as text.
    ///
    /// # Errors
    /// If it is there and no JSON.
    pub(super) fn json(&self, name: &str) -> Result<Option<Value>, ()> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| ()),
            Some(value) => Ok(Some(value.clone())),
        }
    }
}

/// The fields of a form; the last one of a name counts.
fn form(text: &str) -> Map<String, Value> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let decoded = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    });
    let fields: BTreeMap<String, String> = decoded.collect();
    fields.into_iter().map(|(name, value)| (name, Value::from(value))).collect()
}

/// A text of a form: `+` is a space, `%` and two digits a byte.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (bytes[at], byte.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (other, _) => decoded.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_json_are_the_same_arguments() {
        let json = br#"{"text":"a & b \u200b","limit":2,"flag":true,"metadata":{"event_type":"x"}}"#;
        let form = b"text=a+%26+b+%E2%80%8B&limit=2&flag=1&metadata=%7B%22event_type%22%3A%22x%22%7D";
        for (kind, body) in
            [("application/json; charset=utf-8", &json[..]), ("application/x-www-form-urlencoded", &form[..])]
        {
            let arguments = Arguments::read(Some(kind), "", body).unwrap();
            assert_eq!(arguments.text("text").as_deref(), Some("a & b \u{200b}"), "{kind}");
            assert_eq!(arguments.text("limit").as_deref(), Some("2"), "{kind}");
            assert_eq!(arguments.flag("flag"), Some(true), "{kind}");
            assert_eq!(arguments.json("metadata").unwrap().unwrap()["event_type"], "x", "{kind}");
        }
        assert_eq!(Arguments::read(None, "", b"x").unwrap_err(), "missing_post_type");
        assert_eq!(Arguments::read(Some("text/xml"), "", b"x").unwrap_err(), "invalid_post_type");
        assert_eq!(Arguments::read(Some("application/json"), "", b"[]").unwrap_err(), "json_not_object");
    }
}
