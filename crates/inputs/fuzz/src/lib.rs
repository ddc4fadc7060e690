//! What the fuzz targets have in common: bytes are read as the gateway reads them, and nothing may panic.

pub use watchtower_inputs::messages::Format;

use watchtower_inputs::messages::{
    Headers, Message, Options, Records, Unchanged, read as read_message, read_owntracks_published, read_page,
};
use watchtower_inputs::{SpeedUnit, parse_time_zone};

/// Arrival of all messages: 2026-11-23T12:00:05Z.
const RECEIVED_AT: i64 = 1_795_435_205_000;
/// Media types that make a difference to some format.
const MEDIA_TYPES: [Option<&str>; 4] =
    [None, Some("application/json"), Some("application/x-www-form-urlencoded"), Some("application/x-ndjson")];

/// Settings with which nothing is left open.
fn options() -> Options {
    Options {
        time_zone: parse_time_zone("Africa/Lagos").ok(),
        speed_unit: Some(SpeedUnit::Kmh),
        vehicle_id: Some("V1".to_owned()),
        ..Options::default()
    }
}

/// Reads the data as body of each media type, and as query where the format has messages in queries.
pub fn read(format: Format, data: &[u8]) {
    let headers = Headers { limit_user: Some("driver"), limit_device: Some("phone") };
    for options in [options(), Options::default()] {
        for content_type in MEDIA_TYPES {
            let message = Message { query: None, content_type, headers, body: data, received_at: RECEIVED_AT };
            let _ = read_message(format, &message, &options);
        }
        let query = std::str::from_utf8(data).ok().filter(|_| format.accepts_query());
        if query.is_some() {
            let _ = read_message(format, &Message { query, ..Message::from_body(b"", RECEIVED_AT) }, &options);
        }
        if format == Format::OwnTracks {
            let _ = read_owntracks_published("owntracks/driver/phone", data, RECEIVED_AT, &options);
        }
    }
}

/// Reads the data as a page of records, as a poller does.
pub fn read_records(data: &[u8]) {
    let field = |name: &str, pointer: &str| (name.to_owned(), pointer.to_owned());
    let records = Records {
        records: "/data".to_owned(),
        each: None,
        fields: vec![
            field("vehicle_id", "/asset/id"),
            field("ts", "/time"),
            field("lon", "/longitude"),
            field("lat", "/latitude"),
            field("speed", "/speedMph"),
        ],
        next_cursor: Some("/page/cursor".to_owned()),
        more: Some("/page/more".to_owned()),
    };
    for records in [Records { each: Some("/locations".to_owned()), ..records.clone() }, records] {
        if let Ok(mut page) = read_page(&records, &Message::from_body(data, RECEIVED_AT), &options()) {
            let mut unchanged = Unchanged::default();
            let fetched = unchanged.retain_new(&mut page.items);
            unchanged.acknowledge(fetched);
        }
    }
}
