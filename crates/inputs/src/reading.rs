//! How a file is to be read, where it does not say so itself.

use jiff::tz::{Offset, TimeZone};
use watchtower_model::Millis;

/// What a reader cannot know from the file. The default fits files that say everything.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Which column or member holds which field, before any name is looked up.
    pub columns: ColumnMap,
    /// The vehicle of a file that names none; `{file}` in it is the file's name without its extension.
    pub vehicle_id: Option<String>,
    /// The zone of times that name none.
    pub time_zone: Option<TimeZone>,
    /// The order of day, month and year where a date does not decide it.
    pub date_order: Option<DateOrder>,
    /// The unit of speeds whose column or format names none. Without it: km/h.
    pub speed_unit: Option<SpeedUnit>,
    /// The property whose value is the id of a geofence.
    pub id_from: Option<String>,
    /// The instant that a year of two digits is nearest to. Without it: the machine's time.
    pub now: Option<Millis>,
}

impl Reading {
    /// The instant that a year of two digits is nearest to, in epoch milliseconds.
    pub fn now_ms(&self) -> Millis {
        self.now.unwrap_or_else(|| jiff::Timestamp::now().as_millisecond())
    }

    /// The vehicle of a file that names none, if one was given.
    pub fn vehicle_of(&self, path: &std::path::Path) -> Option<String> {
        self.vehicle_id.as_ref().map(|id| id.replace("{file}", &stem(path)))
    }
}

/// A file's name without its extensions.
pub(crate) fn stem(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split_once('.').map_or(name.as_ref(), |(stem, _)| stem).to_owned()
}

/// Fields and where they are: `ts=DATE+TIME,vehicle_id=imei`, or `ts=2,lon=3` by number from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnMap(Vec<(String, Vec<String>)>);

impl ColumnMap {
    /// Reads `field=column[+column],..`.
    ///
    /// # Errors
    /// If a part is not of this form, or a field is given twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut map = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (field, columns) = part
                .split_once('=')
                .ok_or_else(|| format!("expected field=column, as in ts=DATE+TIME, found {part}"))?;
            let field = field.trim().to_owned();
            let columns: Vec<_> = columns.split('+').map(|column| column.trim().to_owned()).collect();
            if field.is_empty() || columns.iter().any(String::is_empty) {
                return Err(format!("expected field=column, as in ts=DATE+TIME, found {part}"));
            }
            if map.iter().any(|(earlier, _)| *earlier == field) {
                return Err(format!("{field} is given twice"));
            }
            map.push((field, columns));
        }
        Ok(Self(map))
    }

    /// The fields, each with the columns that make it up.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(field, columns)| (field.as_str(), columns.as_slice()))
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether columns are given by number, as of a file without a header.
    pub fn is_by_number(&self) -> bool {
        let number = |column: &String| column.parse::<usize>().is_ok_and(|number| number > 0);
        !self.is_empty() && self.0.iter().all(|(_, columns)| columns.iter().all(number))
    }
}

/// The order of the parts of a date that ends with its year or has a year of two digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// As in 23/11/2026.
    DayMonthYear,
    /// As in 11/23/2026.
    MonthDayYear,
    /// As in 26/11/23.
    YearMonthDay,
}

impl DateOrder {
    /// By its letters: `dmy`, `mdy` or `ymd`.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "dmy" => Ok(Self::DayMonthYear),
            "mdy" => Ok(Self::MonthDayYear),
            "ymd" => Ok(Self::YearMonthDay),
            _ => Err("expected dmy, mdy or ymd".to_owned()),
        }
    }
}

/// A unit of speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeedUnit {
    /// Kilometres per hour.
    Kmh,
    /// Nautical miles per hour.
    Knots,
    /// Statute miles per hour.
    Mph,
    /// Metres per second.
    MetresPerSecond,
}

impl SpeedUnit {
    /// By its name.
    ///
    /// # Errors
    /// If it is no unit of speed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let letters: String = text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_ascii_lowercase();
        match letters.as_str() {
            "kmh" | "kph" | "kmph" | "kmhr" => Ok(Self::Kmh),
            "knots" | "knot" | "kn" | "kt" | "kts" => Ok(Self::Knots),
            "mph" | "mih" => Ok(Self::Mph),
            "ms" | "mps" | "msec" | "ms1" => Ok(Self::MetresPerSecond),
            _ => Err("expected kmh, knots, mph or ms".to_owned()),
        }
    }

    /// Kilometres per hour in one of it.
    pub fn kmh(self) -> f64 {
        match self {
            Self::Kmh => 1.0,
            Self::Knots => 1.852,
            Self::Mph => 1.609_344,
            Self::MetresPerSecond => 3.6,
        }
    }

    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Kmh => "km/h",
            Self::Knots => "knots",
            Self::Mph => "mph",
            Self::MetresPerSecond => "m/s",
        }
    }
}

/// Minutes east of UTC: `+01`, `+0100` or `+01:00`.
pub(crate) fn offset_minutes(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &text.as_bytes()[1..];
    let two = |at: usize| {
        let (tens, units) = (digits.get(at)?.wrapping_sub(b'0'), digits.get(at + 1)?.wrapping_sub(b'0'));
        (tens <= 9 && units <= 9).then(|| i32::from(tens) * 10 + i32::from(units))
    };
    let (hours, minutes) = match digits.len() {
        2 => (two(0)?, 0),
        4 => (two(0)?, two(2)?),
        5 if digits[2] == b':' => (two(0)?, two(3)?),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// A zone by its name, as `Africa/Lagos` or `UTC`, or a fixed offset, as `+01:00`.
///
/// # Errors
/// If there is no such zone.
pub fn parse_time_zone(text: &str) -> Result<TimeZone, String> {
    if let Some(offset) = offset_minutes(text) {
        let offset = Offset::from_seconds(offset * 60).map_err(|fault| fault.to_string())?;
        return Ok(TimeZone::fixed(offset));
    }
    if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("gmt") || text == "Z" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(text).map_err(|_| format!("no zone {text}; expected Area/City as in Africa/Lagos, UTC, or +01:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_mapped_by_name_or_number() {
        let map = ColumnMap::parse("ts=DATE+TIME, vehicle_id=imei").unwrap();
        let fields: Vec<_> = map.iter().map(|(field, columns)| (field, columns.join("|"))).collect();
        assert_eq!(fields, [("ts", "DATE|TIME".to_owned()), ("vehicle_id", "imei".to_owned())]);
        assert!(!map.is_by_number());
        assert!(ColumnMap::parse("ts=2,lon=3+4").unwrap().is_by_number());
        for bad in ["ts", "ts=", "=a", "ts=a,ts=b", "ts=a+"] {
            assert!(ColumnMap::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn units_zones_and_names() {
        assert_eq!(SpeedUnit::parse("km/h"), Ok(SpeedUnit::Kmh));
        assert_eq!(SpeedUnit::parse("m/s"), Ok(SpeedUnit::MetresPerSecond));
        assert!(SpeedUnit::parse("furlongs").is_err());
        assert!(parse_time_zone("Africa/Lagos").is_ok() && parse_time_zone("+01:00").is_ok());
        assert!(parse_time_zone("Lagos").is_err());
        assert_eq!(stem(std::path::Path::new("a/truck-7.csv.gz")), "truck-7");
    }
}
