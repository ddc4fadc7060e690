//! Attributes: a JSON object that is kept as text, its keys in their order.
//!
//! Nothing here reads them, but PostgreSQL will as `jsonb`, and one text it cannot take would stop
//! a whole commit. So what it refuses is refused at the door: U+0000, unpaired surrogates, numbers
//! beyond a double, deep nesting.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::limits::Limits;
use super::rejection::{Reason, Rejection, quoted};

/// The object `json` as text on one line, if the archive can hold it. `{}` is no attributes.
pub fn checked<'a>(name: &str, json: &'a str, limits: &Limits) -> Result<Option<Cow<'a, str>>, Rejection> {
    check_size(name, json, limits)?;
    let json = json.trim_ascii();
    let malformed = |fault: String| {
        let detail = format!("{name}: expected a JSON object, found {}: {fault}", quoted(json));
        Rejection::new(Reason::Malformed, detail)
    };
    if !json.starts_with('{') {
        return Err(malformed("not an object".to_owned()));
    }
    let Storable { empty } = serde_json::from_str(json).map_err(|fault| malformed(fault.to_string()))?;
    if empty {
        return Ok(None);
    }
    // A line break in JSON is always between tokens; one event must stay one line.
    Ok(Some(if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ").into() } else { json.into() }))
}

/// Collects an object from unknown columns or fields, each a string.
#[derive(Debug, Default)]
pub struct Builder(String);

impl Builder {
    /// Adds a member; `key` is its name as JSON. Nothing is added for empty text.
    ///
    /// # Errors
    /// If the archive cannot hold the name or the value.
    pub fn push(&mut self, key: &str, value: &str) -> Result<(), Rejection> {
        if value.is_empty() {
            return Ok(());
        }
        if value.contains('\0') {
            return Err(Rejection::new(Reason::Malformed, format!("{key}: U+0000 is not allowed")));
        }
        check_key(key)?;
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(key);
        self.0.push(':');
        push_string(&mut self.0, value);
        Ok(())
    }

    /// Adds a member whose value is JSON; `key` is its name as JSON. Nothing is added for `null`.
    ///
    /// # Errors
    /// If the archive cannot hold the name or the value.
    pub fn push_json(&mut self, key: &str, value: &str) -> Result<(), Rejection> {
        if value == "null" {
            return Ok(());
        }
        let malformed = |fault| Rejection::new(Reason::Malformed, format!("{key}: {fault}"));
        let Storable { .. } = serde_json::from_str(value).map_err(malformed)?;
        check_key(key)?;
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(key);
        self.0.push(':');
        // A line break in JSON is always between tokens; one event must stay one line.
        self.0.extend(value.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
        Ok(())
    }

    /// The collected members after those of `given`, which is checked already.
    pub fn finish<'a>(self, given: Option<Cow<'a, str>>, limits: &Limits) -> Result<Option<Cow<'a, str>>, Rejection> {
        let Self(mut collected) = self;
        if collected.is_empty() {
            return Ok(given);
        }
        collected.push('}');
        if let Some(given) = given {
            let head = given.strip_suffix('}').unwrap_or(&given);
            collected.replace_range(..1, ",");
            collected.insert_str(0, head);
        }
        check_size("attributes", &collected, limits)?;
        Ok(Some(collected.into()))
    }
}

/// Refuses a name, as JSON, that `jsonb` cannot hold. Only an escape can be one.
fn check_key(key: &str) -> Result<(), Rejection> {
    if !key.contains('\\') {
        return Ok(());
    }
    let malformed = |fault| Rejection::new(Reason::Malformed, format!("{key}: {fault}"));
    serde_json::from_str::<Storable>(key).map(|_| ()).map_err(malformed)
}

/// Appends `text` as a JSON string.
pub fn push_string(json: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        json.push_str(&serde_json::Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

fn check_size(name: &str, json: &str, limits: &Limits) -> Result<(), Rejection> {
    if json.len() <= limits.max_attributes_bytes {
        return Ok(());
    }
    let detail = format!("{name}: expected at most {} bytes, found {}", limits.max_attributes_bytes, json.len());
    Err(Rejection::new(Reason::TooLarge, detail))
}

/// Any JSON value that `jsonb` can hold: reading it is the check, nothing is built.
struct Storable {
    empty: bool,
}

impl<'de> Deserialize<'de> for Storable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StorableVisitor)
    }
}

struct StorableVisitor;

impl<'de> Visitor<'de> for StorableVisitor {
    type Value = Storable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Storable, E> {
        Ok(Storable { empty: true })
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Storable, E> {
        Ok(Storable { empty: false })
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Storable, E> {
        Ok(Storable { empty: false })
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Storable, E> {
        Ok(Storable { empty: false })
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Storable, E> {
        Ok(Storable { empty: false })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Storable, E> {
        if text.contains('\0') {
            return Err(E::custom("U+0000 is not allowed"));
        }
        Ok(Storable { empty: text.is_empty() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Storable, A::Error> {
        let mut empty = true;
        while items.next_element::<Storable>()?.is_some() {
            empty = false;
        }
        Ok(Storable { empty })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Storable, A::Error> {
        let mut empty = true;
        while members.next_entry::<Storable, Storable>()?.is_some() {
            empty = false;
        }
        Ok(Storable { empty })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Option<String>, Reason> {
        checked("attributes", json, &Limits::default())
            .map(|json| json.map(Cow::into_owned))
            .map_err(|rejection| rejection.reason)
    }

    #[test]
    fn keeps_text_and_order() {
        assert_eq!(check(r#"{"b":1,"a":[1.50,null]}"#), Ok(Some(r#"{"b":1,"a":[1.50,null]}"#.to_owned())));
        assert_eq!(check("{\n \"a\": {}\r\n}"), Ok(Some(r#"{  "a": {}  }"#.to_owned())));
        assert_eq!(check(" { } "), Ok(None));
    }

    #[test]
    fn refuses_what_jsonb_would() {
        let deep = format!("{}{}{}", r#"{"a":"#.repeat(200), 1, "}".repeat(200));
        for json in ["", "[]", "1", "{", "{}x", r#"{"a":"\u0000"}"#, r#"{"\u0000":1}"#, r#"{"a":"\ud800"}"#, &deep] {
            assert_eq!(check(json), Err(Reason::Malformed), "{json}");
        }
        assert_eq!(check(r#"{"a":1e999}"#), Err(Reason::Malformed));
        assert_eq!(check(&format!(r#"{{"a":"{}"}}"#, "x".repeat(70_000))), Err(Reason::TooLarge));
    }

    #[test]
    fn a_name_that_jsonb_would_refuse_is_refused() {
        for name in ["a\0", "\0"] {
            let (mut key, mut builder) = (String::new(), Builder::default());
            push_string(&mut key, name);
            assert_eq!(builder.push(&key, "1").unwrap_err().reason, Reason::Malformed);
            assert_eq!(builder.push_json(&key, "1").unwrap_err().reason, Reason::Malformed);
        }
        let mut builder = Builder::default();
        builder.push(r#""a\"b\n""#, "1").unwrap();
        assert_eq!(builder.finish(None, &Limits::default()).unwrap().as_deref(), Some(r#"{"a\"b\n":"1"}"#));
    }

    #[test]
    fn builds_an_object_behind_a_given_one() {
        let build = |given: Option<&'static str>| {
            let mut builder = Builder::default();
            builder.push("\"door\"", "a \"b\"").unwrap();
            builder.push("\"none\"", "").unwrap();
            builder.finish(given.map(Cow::Borrowed), &Limits::default()).unwrap()
        };
        assert_eq!(build(None).as_deref(), Some(r#"{"door":"a \"b\""}"#));
        assert_eq!(build(Some(r#"{"x":1}"#)).as_deref(), Some(r#"{"x":1,"door":"a \"b\""}"#));
        assert_eq!(Builder::default().finish(None, &Limits::default()).unwrap(), None);
    }
}
