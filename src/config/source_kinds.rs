//! The kinds of values that all sources have, whether they send or are fetched.

use watchtower_core::events::check_vehicle_id;
use watchtower_inputs::{SpeedUnit, parse_time_zone};

use super::kinds::{Value, Wrong, text, wrong};

/// Limit of the name of a source, characters.
const MAX_NAME_CHARS: usize = 40;

pub(super) fn speed_unit(value: Value<'_>) -> Result<Option<SpeedUnit>, Wrong> {
    let expected = "kmh, knots, mph or ms";
    SpeedUnit::parse(text(value, expected)?).map(Some).map_err(|_| wrong(expected, value))
}

pub(super) fn vehicle_id(value: Value<'_>) -> Result<Option<String>, Wrong> {
    let id = text(value, "the identifier of a vehicle")?;
    check_vehicle_id(id).map(|()| Some(id.to_owned())).map_err(|rejection| rejection.detail)
}

pub(super) fn source_name(value: Value<'_>) -> Result<String, Wrong> {
    let expected = format!("a name of lower-case letters, digits, - and _, at most {MAX_NAME_CHARS} characters");
    let name = text(value, &expected)?;
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let is_name = (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(fine);
    if is_name { Ok(name.to_owned()) } else { Err(wrong(&expected, value)) }
}

/// The name of a header, in lower case.
pub(super) fn header(value: Value<'_>) -> Result<String, Wrong> {
    let expected = "the name of a header such as X-Signature";
    let name = text(value, expected)?.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_name { Ok(name.to_ascii_lowercase()) } else { Err(wrong(expected, value)) }
}

pub(super) fn zone(value: Value<'_>) -> Result<Option<String>, Wrong> {
    let expected = "a time zone such as \"UTC\", \"Africa/Lagos\" or \"+01:00\"";
    let zone = text(value, expected)?.trim();
    if parse_time_zone(zone).is_ok() { Ok(Some(zone.to_owned())) } else { Err(wrong(expected, value)) }
}
