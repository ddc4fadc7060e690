//! Instants as a GeoPackage has them: the text of its type DATETIME, in UTC with milliseconds.
//!
//! Text sorts as the instants do, and QGIS, GDAL, geopandas and DuckDB read it as an instant. The type has no
//! infinity: -infinity is stored as the first millisecond of the year 1, +infinity as the last of the year 9999.

use watchtower_model::{BEGINNING, END, Millis};

use watchtower_model::rfc3339;

/// 0001-01-01T00:00:00.000Z, which stands for everything before it.
pub const FIRST: Millis = -62_135_596_800_000;
/// 9999-12-31T23:59:59.999Z, which stands for everything after it.
pub const LAST: Millis = 253_402_300_799_999;

/// Formats an instant as `2026-11-23T06:00:00.000Z`.
pub fn format(t: Millis) -> String {
    rfc3339::format(t.clamp(FIRST, LAST))
}

/// [`LAST`], formatted.
const LAST_TEXT: &str = "9999-12-31T23:59:59.999Z";

/// Parses the text of [`format()`]; `None` for any other text.
pub fn parse(text: &str) -> Option<Millis> {
    if text == LAST_TEXT {
        return Some(END); // jiff's range ends a day earlier
    }
    let t = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    Some(if t == FIRST { BEGINNING } else { t })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_in_order() {
        let instants = [BEGINNING, -1, 0, 1_795_413_600_123, END];
        let texts = instants.map(format);
        assert!(texts.is_sorted());
        assert_eq!(texts[0], "0001-01-01T00:00:00.000Z");
        assert_eq!(texts[4], LAST_TEXT);
        assert_eq!(texts.map(|text| parse(&text).unwrap()), instants);
    }
}
