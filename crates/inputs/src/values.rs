//! Values as trackers, loggers and spreadsheets write them.

use super::reading::SpeedUnit;

/// A cell or member that may be left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Optional<T> {
    /// A value that can be read.
    Value(T),
    /// It says that nothing is known.
    Unknown,
    /// It says something that cannot be read.
    Unreadable,
}

/// Whether a cell only says that nothing is known.
pub(crate) fn is_unknown(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["null", "n/a", "na", "nan", "none", "nil", "unknown", "unknown value", "undefined", "\\n", "#n/a", "-nan"];
    text.is_empty()
        || text.bytes().all(|byte| matches!(byte, b'-' | b'?' | b'.'))
        || (text.len() <= 13 && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)))
}

/// A number; with a comma for the point if there is no point. Perhaps not finite.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    if text.len() <= 32 && text.contains(',') && !text.contains('.') && text.matches(',').count() == 1 {
        return text.replace(',', ".").parse().ok();
    }
    None
}

/// A number and the unit behind it.
fn with_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|(at, c)| {
            let exponent = matches!(c, 'e' | 'E')
                && text[at + 1..].starts_with(|next: char| next.is_ascii_digit() || matches!(next, '-' | '+'));
            !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.' | ',') && !exponent
        })
        .map_or(text.len(), |(at, _)| at);
    Some((number(&text[..end])?, text[end..].trim()))
}

/// A number that may be left out, of these units if it names one.
pub(crate) fn measure(text: &str, units: &[&str]) -> Optional<f64> {
    let text = text.trim();
    if let Some(number) = number(text) {
        return if number.is_finite() { Optional::Value(number) } else { Optional::Unknown };
    }
    if is_unknown(text) {
        return Optional::Unknown;
    }
    match with_unit(text) {
        Some((number, unit)) if units.iter().any(|known| unit.eq_ignore_ascii_case(known)) => Optional::Value(number),
        _ => Optional::Unreadable,
    }
}

/// A speed in km/h; `unit` is the one of numbers that name none.
pub(crate) fn speed_kmh(text: &str, unit: SpeedUnit) -> Optional<f64> {
    match measure(text, &[]) {
        Optional::Value(number) => Optional::Value(number * unit.kmh()),
        Optional::Unknown => Optional::Unknown,
        Optional::Unreadable => match with_unit(text).map(|(number, unit)| (number, SpeedUnit::parse(unit))) {
            Some((number, Ok(unit))) => Optional::Value(number * unit.kmh()),
            _ => Optional::Unreadable,
        },
    }
}

/// A length in metres.
pub(crate) fn metres(text: &str) -> Optional<f64> {
    match measure(text, &["m", "metres", "meters", "metre", "meter"]) {
        Optional::Unreadable => match with_unit(text) {
            Some((number, unit)) if unit.eq_ignore_ascii_case("km") => Optional::Value(number * 1000.0),
            Some((number, unit)) if unit.eq_ignore_ascii_case("ft") => Optional::Value(number * 0.3048),
            _ => Optional::Unreadable,
        },
        known => known,
    }
}

/// A duration in seconds.
pub(crate) fn seconds(text: &str) -> Optional<f64> {
    match measure(text, &["s", "sec", "seconds"]) {
        Optional::Unreadable => match with_unit(text) {
            Some((number, "min" | "minutes" | "m")) => Optional::Value(number * 60.0),
            Some((number, "h" | "hours")) => Optional::Value(number * 3600.0),
            _ => Optional::Unreadable,
        },
        known => known,
    }
}

/// A direction in degrees clockwise from north; compass points are directions.
pub(crate) fn heading_deg(text: &str) -> Optional<f64> {
    const POINTS: [&str; 16] =
        ["N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"];
    let text = text.trim();
    match measure(text, &["°", "deg", "degrees", "º"]) {
        Optional::Unreadable => match POINTS.iter().position(|point| text.eq_ignore_ascii_case(point)) {
            Some(point) => Optional::Value(point as f64 * 22.5),
            None => Optional::Unreadable,
        },
        known => known,
    }
}

/// A truth value in the words that exports use.
pub(crate) fn flag(text: &str) -> Optional<bool> {
    const TRUE: [&str; 9] = ["true", "1", "yes", "on", "t", "y", "1.0", "running", "ja"];
    const FALSE: [&str; 10] = ["false", "0", "no", "off", "f", "n", "0.0", "stopped", "nein", "of"];
    let text = text.trim();
    let is_any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_any(&TRUE) {
        Optional::Value(true)
    } else if is_any(&FALSE) {
        Optional::Value(false)
    } else if is_unknown(text) {
        Optional::Unknown
    } else {
        Optional::Unreadable
    }
}

/// Which coordinate a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Degrees north, -90 to 90.
    Latitude,
    /// Degrees east, -180 to 180.
    Longitude,
}

/// Degrees: decimal, with a hemisphere's letter, or as degrees, minutes and seconds. Perhaps not finite or out
/// of range.
pub(crate) fn degrees(text: &str, axis: Axis) -> Option<f64> {
    if let Some(number) = number(text) {
        return Some(number);
    }
    let text = text.trim();
    if text.len() > 48 {
        return None;
    }
    let (text, negative) = hemisphere(text, axis)?;
    let mut parts = Vec::with_capacity(3);
    let is_sign = |c: char| c.is_whitespace() || "°º'’′\"”″:dms".contains(c);
    for part in text.split(is_sign).filter(|part| !part.is_empty()) {
        parts.push(number(part)?);
    }
    let whole = match parts[..] {
        [whole] => degrees_and_minutes(whole, text, axis),
        [whole, minutes] if (0.0..60.0).contains(&minutes) => whole.abs() + minutes / 60.0,
        [whole, minutes, seconds] if (0.0..60.0).contains(&minutes) && (0.0..60.0).contains(&seconds) => {
            whole.abs() + minutes / 60.0 + seconds / 3600.0
        }
        _ => return None,
    };
    let minus = parts.first().is_some_and(|first| first.is_sign_negative());
    Some(if negative.unwrap_or(minus) { -whole } else { whole })
}

/// With a letter, 0630.25 N and 00321.6 E are degrees and minutes run together, as NMEA has them: by their digits,
/// or because they are beyond the axis.
fn degrees_and_minutes(number: f64, text: &str, axis: Axis) -> f64 {
    let number = number.abs();
    let (most, digits) = if axis == Axis::Latitude { (90.0, 4) } else { (180.0, 5) };
    let whole_digits = text.trim_start_matches(['+', '-']).bytes().take_while(u8::is_ascii_digit).count();
    if number <= most && whole_digits < digits {
        return number;
    }
    let whole = (number / 100.0).trunc();
    whole + (number - whole * 100.0) / 60.0
}

/// The text without the letter of its hemisphere, and whether that is south or west.
fn hemisphere(text: &str, axis: Axis) -> Option<(&str, Option<bool>)> {
    let letter = |c: char| match (axis, c.to_ascii_uppercase()) {
        (Axis::Latitude, 'N') | (Axis::Longitude, 'E') => Some(false),
        (Axis::Latitude, 'S') | (Axis::Longitude, 'W') => Some(true),
        _ => None,
    };
    let (first, last) = (text.chars().next()?, text.chars().next_back()?);
    if let Some(negative) = letter(last) {
        return Some((text[..text.len() - last.len_utf8()].trim_end(), Some(negative)));
    }
    if let Some(negative) = letter(first) {
        return Some((text[first.len_utf8()..].trim_start(), Some(negative)));
    }
    Some((text, None))
}

#[cfg(test)]
mod tests {
    use super::Optional::{Unknown, Unreadable, Value};
    use super::*;

    #[test]
    fn degrees_in_every_form() {
        let near = |text, axis, expected: f64| {
            let found = degrees(text, axis).unwrap_or(f64::NAN);
            assert!((found - expected).abs() < 1e-9, "{text}: {found}");
        };
        use Axis::{Latitude, Longitude};
        for text in ["6.5", "6,5", "6.5N", "N6.5", "6.5 N", "6°30'00.0\"N", "6 30 N", "6:30:00", "0630.0000N"] {
            near(text, Latitude, 6.5);
        }
        near("3°21'36.0\"W", Longitude, -3.36);
        near("-3 21 36", Longitude, -3.36);
        near("00321.6E", Longitude, 3.36);
        near("00121.6E", Longitude, 1.36);
        near("S 0.5", Latitude, -0.5);
        for text in ["6.5E", "north", "6 61 N", "", "1 2 3 4"] {
            assert_eq!(degrees(text, Latitude), None, "{text}");
        }
    }

    #[test]
    fn measures_with_units_and_without() {
        let kmh = |text| speed_kmh(text, SpeedUnit::Kmh);
        assert_eq!(kmh("41 km/h"), Value(41.0));
        assert_eq!(kmh("41,5"), Value(41.5));
        assert_eq!(kmh("10 knots"), Value(18.52));
        assert_eq!(speed_kmh("10", SpeedUnit::MetresPerSecond), Value(36.0));
        for text in ["", "NULL", "N/A", "NaN", "\\N", "-", "inf"] {
            assert_eq!(kmh(text), Unknown, "{text}");
        }
        assert_eq!(kmh("fast"), Unreadable);
        assert_eq!(heading_deg("90°"), Value(90.0));
        assert_eq!(heading_deg("wsw"), Value(247.5));
        assert_eq!(metres("0.2 km"), Value(200.0));
        assert_eq!(seconds("5 min"), Value(300.0));
    }

    #[test]
    fn flags_in_words() {
        for text in ["ON", "on", "t", "1", "Yes", "TRUE"] {
            assert_eq!(flag(text), Value(true), "{text}");
        }
        assert_eq!(flag("Off"), Value(false));
        assert_eq!(flag("NULL"), Unknown);
        assert_eq!(flag("maybe"), Unreadable);
    }
}
