//! The kinds of values: what a key accepts, and the message for other values.
//!
//! A kind is a function that converts a value, or returns the fault: "expected .., found ..".

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use toml::de::DeValue;
use tracing_subscriber::EnvFilter;
use watchtower_model::Millis;
use watchtower_model::local_time::LocalTime;

use super::duration::{format_ms, parse_ms};
use super::nearest::nearest;
use watchtower_core::time_zone;

/// Limit of a pipeline's or schema's name: leaves room for suffixes in PostgreSQL's 63 characters.
const MAX_NAME_CHARS: usize = 40;

/// Limit of the name of a PostgreSQL role, characters.
const MAX_ROLE_CHARS: usize = 63;

/// Limit of a wrong value's characters that a message repeats.
const MAX_FOUND_CHARS: usize = 60;

/// Names of the log levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A value as it was set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// A value in the file.
    Toml(&'a DeValue<'a>),
    /// The text of an environment variable.
    Variable(&'a str),
}

/// The fault of a value: what was expected and what was found.
pub(super) type Wrong = String;

/// A value that must be a string.
pub(super) fn text<'a>(value: Value<'a>, expected: &str) -> Result<&'a str, Wrong> {
    match value {
        Value::Variable(text) => Ok(text),
        Value::Toml(DeValue::String(text)) => Ok(text),
        Value::Toml(_) => Err(wrong(expected, value)),
    }
}

/// The message "expected .., found ..".
pub(super) fn wrong(expected: &str, value: Value<'_>) -> Wrong {
    let found = match value {
        Value::Variable(text) => found_text(text),
        Value::Toml(DeValue::String(text)) => found_text(text),
        Value::Toml(DeValue::Integer(number)) => number.to_string(),
        Value::Toml(DeValue::Float(number)) => number.to_string(),
        Value::Toml(DeValue::Boolean(truth)) => truth.to_string(),
        Value::Toml(DeValue::Datetime(time)) => time.to_string(),
        Value::Toml(DeValue::Array(_)) => "a list".to_owned(),
        Value::Toml(DeValue::Table(_)) => "a table".to_owned(),
    };
    format!("expected {expected}, found {found}")
}

/// A wrong text in quotes, shortened; without a password if it is a URL under the wrong key.
pub(super) fn found_text(text: &str) -> String {
    if text.trim().is_empty() {
        return "an empty text".to_owned();
    }
    let is_url = text.contains("://") || text.contains(':') && text.contains('@');
    if is_url || text.to_ascii_lowercase().contains("pass") {
        return "a text that may hold a password".to_owned();
    }
    match text.char_indices().nth(MAX_FOUND_CHARS) {
        Some((end, _)) => format!("{:?}..", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A value that must be `true` or `false`.
pub(super) fn boolean(value: Value<'_>) -> Result<bool, Wrong> {
    let expected = "true or false";
    match value {
        Value::Toml(DeValue::Boolean(truth)) => Ok(*truth),
        Value::Toml(_) => Err(unquoted(expected, value, |text| matches!(text, "true" | "false"))),
        Value::Variable(text) => text.trim().parse().map_err(|_| wrong(expected, value)),
    }
}

/// An integer within a range.
pub(super) fn whole<T: TryFrom<i64>>(range: RangeInclusive<i64>) -> impl Fn(Value<'_>) -> Result<T, Wrong> {
    move |value| {
        let expected = format!("a whole number in {}..={}", range.start(), range.end());
        let number = match value {
            Value::Toml(DeValue::Integer(number)) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            Value::Toml(_) => None,
            Value::Variable(text) => text.trim().parse().ok(),
        };
        number
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| unquoted(&expected, value, |text| text.parse().is_ok_and(|number| range.contains(&number))))
    }
}

/// A number within a range.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(Value<'_>) -> Result<f64, Wrong> {
    move |value| {
        let expected = format!("a number in {}..={}", range.start(), range.end());
        let number = match value {
            Value::Toml(DeValue::Integer(number)) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
            }
            Value::Toml(DeValue::Float(number)) => number.as_str().parse().ok(),
            Value::Toml(_) => None,
            Value::Variable(text) => text.trim().parse().ok(),
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| unquoted(&expected, value, |text| text.parse().is_ok_and(|number| range.contains(&number))))
    }
}

/// The fault of a text that would be valid without its quotes, or of any other value.
fn unquoted(expected: &str, value: Value<'_>, would_do: impl Fn(&str) -> bool) -> Wrong {
    match value {
        Value::Toml(DeValue::String(text)) if would_do(text) => {
            format!("{}; write it without the quotes", wrong(expected, value))
        }
        Value::Toml(_) | Value::Variable(_) => wrong(expected, value),
    }
}

/// A duration within a range, in milliseconds.
pub(super) fn duration(range: RangeInclusive<Millis>) -> impl Fn(Value<'_>) -> Result<Millis, Wrong> {
    move |value| {
        let expected = "a duration such as 6h or 90s";
        if let Value::Toml(DeValue::Integer(_) | DeValue::Float(_)) = value {
            return Err(format!("{}; write it with its unit (ms, s, m, h, d), in quotes", wrong(expected, value)));
        }
        let ms = parse_ms(text(value, expected)?).map_err(|_| wrong(expected, value))?;
        if range.contains(&ms) {
            return Ok(ms);
        }
        Err(wrong(&format!("a duration in {}..={}", format_ms(*range.start()), format_ms(*range.end())), value))
    }
}

/// A duration within a range.
pub(super) fn span(range: RangeInclusive<Millis>) -> impl Fn(Value<'_>) -> Result<Duration, Wrong> {
    let duration = duration(range);
    move |value| duration(value).map(|ms| Duration::from_millis(ms.unsigned_abs()))
}

/// A duration within a range, or `all` for no limit.
pub(super) fn all_or_span(range: RangeInclusive<Millis>) -> impl Fn(Value<'_>) -> Result<Option<Duration>, Wrong> {
    let span = span(range);
    move |value| match text(value, "all, or a duration such as 30d")? {
        "all" => Ok(None),
        _ => span(value).map(Some),
    }
}

/// An instant: RFC 3339, as text or as TOML's own date and time.
pub(super) fn instant(value: Value<'_>) -> Result<Millis, Wrong> {
    let expected = "a time with its offset from UTC such as 1980-01-01T00:00:00Z";
    let written = match value {
        Value::Toml(DeValue::Datetime(time)) => time.to_string(),
        Value::Toml(_) | Value::Variable(_) => text(value, expected)?.trim().to_owned(),
    };
    let instant = written.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    instant.filter(|ms| four_digit_years().contains(ms)).ok_or_else(|| wrong(expected, value))
}

/// The instants with years of four digits, except for the last day, which is out of range at some offsets.
fn four_digit_years() -> RangeInclusive<Millis> {
    -62_135_596_800_000..=253_402_214_400_000
}

/// One of a list of words.
pub(super) fn choice<T: Copy>(choices: &[(&'static str, T)]) -> impl Fn(Value<'_>) -> Result<T, Wrong> {
    move |value| {
        let expected = either(choices.iter().map(|(word, _)| format!("{word:?}")));
        let found = text(value, &expected)?;
        choices.iter().find(|(word, _)| *word == found.trim()).map(|(_, choice)| *choice).ok_or_else(|| {
            let meant = nearest(found.trim(), choices.iter().map(|(word, _)| *word));
            format!("{}{}", wrong(&expected, value), did_you_mean(meant))
        })
    }
}

/// Joins items: `a`, `a or b`, `a, b or c`.
pub(super) fn either(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The hint `; did you mean ..?`, or an empty text.
pub(super) fn did_you_mean(name: Option<impl Display>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// An IANA time zone.
pub(super) fn time_zone(value: Value<'_>) -> Result<Arc<LocalTime>, Wrong> {
    let expected = "a time zone such as \"UTC\" or \"Africa/Lagos\"";
    let found = text(value, expected)?.trim();
    time_zone::local_time(found).map(Arc::new).ok_or_else(|| {
        let names = time_zone::names();
        format!("{}{}", wrong(expected, value), did_you_mean(nearest(found, names.iter().map(String::as_str))))
    })
}

/// The name of a pipeline.
pub(super) fn name(value: Value<'_>) -> Result<String, Wrong> {
    let expected = format!(
        "a name of lower-case letters, digits and _, a letter first, at most {MAX_NAME_CHARS} characters, such as lagos"
    );
    let name = text(value, &expected)?;
    let is_name = is_identifier(name, MAX_NAME_CHARS) && !name.starts_with('_');
    is_name.then(|| name.to_owned()).ok_or_else(|| wrong(&expected, value))
}

/// The name of a schema.
pub(super) fn schema(value: Value<'_>) -> Result<String, Wrong> {
    let schema = name(value)?;
    match is_reserved_schema(&schema) {
        false => Ok(schema),
        true => Err(wrong("a schema of its own, not one that PostgreSQL keeps for itself or for everyone", value)),
    }
}

/// Whether the schema exists in every database, or may not be created.
pub(super) fn is_reserved_schema(name: &str) -> bool {
    name == "public" || name == "information_schema" || name.starts_with("pg_")
}

/// The name of a role; `None` for an empty text.
pub(super) fn role(value: Value<'_>) -> Result<Option<String>, Wrong> {
    let expected = format!(
        "a role's name of lower-case letters, digits and _, at most {MAX_ROLE_CHARS} characters, or \"\" for none"
    );
    let role = text(value, &expected)?;
    let reserved = matches!(role, "public" | "none") || role.starts_with("pg_");
    match (role.is_empty(), is_identifier(role, MAX_ROLE_CHARS) && !reserved) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(role.to_owned())),
        (false, false) if reserved => Err(wrong("a role of its own, not one that PostgreSQL keeps for itself", value)),
        (false, false) => Err(wrong(&expected, value)),
    }
}

/// Whether PostgreSQL accepts a name without quotes.
fn is_identifier(name: &str, max_chars: usize) -> bool {
    name.len() <= max_chars
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The path of a file; `None` for an empty text.
pub(super) fn file(value: Value<'_>) -> Result<Option<PathBuf>, Wrong> {
    let path = text(value, "the path of a PEM file, or \"\" for none")?.trim();
    Ok((!path.is_empty()).then(|| PathBuf::from(path)))
}

/// The path of a folder.
pub(super) fn folder(value: Value<'_>) -> Result<PathBuf, Wrong> {
    let expected = "the path of a folder";
    let path = text(value, expected)?.trim();
    if path.is_empty() { Err(wrong(expected, value)) } else { Ok(PathBuf::from(path)) }
}

/// An address and port to listen on.
pub(super) fn address(value: Value<'_>) -> Result<SocketAddr, Wrong> {
    let expected = "an IP address and a port such as 127.0.0.1:9464";
    let found = text(value, expected)?.trim();
    found.parse().map_err(|_| {
        let hint = match found.rsplit_once(':') {
            Some(("localhost", _)) => "; localhost is 127.0.0.1",
            Some(("" | "*", _)) => "; all addresses are 0.0.0.0",
            Some(_) | None => "",
        };
        format!("{}{hint}", wrong(expected, value))
    })
}

/// A log level, or directives.
pub(super) fn level(value: Value<'_>) -> Result<String, Wrong> {
    let expected = format!("a level ({}), or also parts such as info,watchtower=debug", either(LEVELS));
    let found = text(value, &expected)?.trim();
    let is_level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    for directive in found.split(',') {
        // A single word that is no level would be taken as the name of a module, and disable the log.
        let (part, word) = directive.trim().split_once('=').unwrap_or(("watchtower", directive.trim()));
        let is_part =
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
        if !is_part || !is_level(word) {
            return Err(format!("{}{}", wrong(&expected, value), did_you_mean(nearest(word, LEVELS))));
        }
    }
    // The filter does not accept spaces.
    let directives: String = found.split_whitespace().collect();
    match EnvFilter::builder().parse(&directives) {
        Ok(_) => Ok(directives),
        Err(_) => Err(wrong(&expected, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a kind for `text` in a file.
    fn in_file<T>(kind: impl Fn(Value<'_>) -> Result<T, Wrong>, text: &str) -> Option<T> {
        kind(Value::Toml(DeValue::parse(text).unwrap().get_ref())).ok()
    }

    /// The result of a kind for `text` in a variable.
    fn in_variable<T>(kind: impl Fn(Value<'_>) -> Result<T, Wrong>, text: &str) -> Option<T> {
        kind(Value::Variable(text)).ok()
    }

    #[test]
    fn whole_numbers_are_written_in_every_way_of_toml() {
        for text in ["1000", "1_000", "+1000", "0x3e8", "0o1750", "0b11_1110_1000"] {
            assert_eq!(in_file(whole::<u16>(1..=1024), text), Some(1000), "{text}");
        }
        assert_eq!(in_variable(whole::<u16>(1..=1024), " 1000\n"), Some(1000));
        assert_eq!(in_file(whole::<u16>(1..=1_000_000), "70000"), None);
    }

    #[test]
    fn numbers_may_be_whole() {
        for text in ["5", "5.0", "0.5e1"] {
            assert_eq!(in_file(number(0.0..=10.0), text), Some(5.0), "{text}");
            assert_eq!(in_variable(number(0.0..=10.0), text), Some(5.0), "{text}");
        }
        for text in ["nan", "inf", "-0.1"] {
            assert_eq!(in_file(number(0.0..=10.0), text), None, "{text}");
        }
    }

    #[test]
    fn instants_are_text_or_times_with_any_offset() {
        for text in ["1980-01-01T01:00:00+01:00", "1980-01-01 00:00:00Z", "1979-12-31T23:00:00.000-01:00"] {
            assert_eq!(in_file(instant, text), Some(315_532_800_000), "{text}");
            assert_eq!(in_file(instant, &format!("'{text}'")), Some(315_532_800_000), "{text}");
        }
        for text in ["1980-01-01", "1980-01-01T00:00:00", "00:00:00", "'-009999-01-01T00:00:00Z'"] {
            assert_eq!(in_file(instant, text), None, "{text}");
        }
    }

    #[test]
    fn directives_of_the_log_are_levels_of_parts() {
        for text in ["info", "WARN", "off,watchtower=debug", " info, watchtower_store=trace"] {
            assert_eq!(in_variable(level, text), Some(text.replace(' ', "")));
        }
        for text in ["", "inof", "watchtower", "=info", "info,", "a b=info", "info=watchtower"] {
            assert_eq!(in_variable(level, text), None, "{text}");
        }
    }

    #[test]
    fn names_need_no_quotes_in_sql() {
        let longest = "a".repeat(MAX_NAME_CHARS);
        for text in ["lagos", "a", "lagos_2", &longest] {
            assert_eq!(in_variable(name, text).as_deref(), Some(text));
        }
        for text in ["", "_lagos", "2lagos", "Lagos", "lagos-2", "lag\u{f3}s", &format!("{longest}a")] {
            assert_eq!(in_variable(name, text), None, "{text}");
        }
        assert_eq!(in_variable(role, "_bi"), Some(Some("_bi".to_owned())));
        assert_eq!(in_variable(role, ""), Some(None));
    }

    #[test]
    fn what_is_found_is_cut() {
        let found = found_text(&"\u{e9}".repeat(MAX_FOUND_CHARS + 1));
        assert_eq!(found.chars().count(), MAX_FOUND_CHARS + 4);
    }
}
