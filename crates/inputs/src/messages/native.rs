//! Watch Tower's own events: one JSON object, an array of them, or one a line (NDJSON).

use watchtower_core::events::{Reason, Rejection, json as events};

use super::Format;
use super::collect::Items;
use super::json;
use super::message::{Item, Message, MessageError, Options};

/// Media types of one object a line.
const NDJSON: [&str; 5] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
];

/// Reads events, each with its own outcome.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let mut items = Items::new(message, options);
    if is_lines(message)? {
        for (index, line) in message.body.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if !line.is_empty() {
                push(&mut items, index, line, options)?;
            }
        }
    } else {
        for (index, record) in json::records(Format::Native, message.body, options)?.into_iter().enumerate() {
            push(&mut items, index, record.as_bytes(), options)?;
        }
    }
    Ok(items.finish())
}

fn push(items: &mut Items, index: usize, record: &[u8], options: &Options) -> Result<(), MessageError> {
    let text = std::str::from_utf8(record).unwrap_or_default();
    let result = match json::too_deep(text, options.max_json_depth) {
        None => events::decode(record, &options.limits),
        Some(at) => {
            let most = options.max_json_depth;
            let detail =
                format!("expected at most {most} arrays and objects within each other, found more at byte {at}");
            Err(Rejection::new(Reason::TooLarge, detail))
        }
    };
    let vehicle_id = if result.is_err() { json::named(text, &["vehicle_id"]) } else { None };
    items.push(index, record, vehicle_id.as_deref(), result)
}

/// Whether each line is an event. Without a media type that says it: if the body is not one value but its first line is.
fn is_lines(message: &Message<'_>) -> Result<bool, MessageError> {
    if NDJSON.contains(&message.media_type().as_str()) {
        return Ok(true);
    }
    let body = message.body.trim_ascii();
    if body.starts_with(b"[") || !body.contains(&b'\n') {
        return Ok(false);
    }
    let first = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(json::value(Format::Native, json::text(Format::Native, first)?).is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ARRIVAL: i64 = 1_795_435_205_000;
    const POSITION: &str = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44}"#;

    fn outcomes(body: &[u8], content_type: Option<&str>) -> Vec<(usize, Result<String, String>)> {
        let message = Message { content_type, ..Message::from_body(body, ARRIVAL) };
        let items = read(&message, &Options::default()).unwrap();
        let outcome = |item: Item| match item.result {
            Ok(event) => (item.index, Ok(events::encode(&event))),
            Err(refused) => (item.index, Err(refused.reason.to_string())),
        };
        items.into_iter().map(outcome).collect()
    }

    fn arrived(received_at: &str) -> String {
        POSITION.replace('}', &format!(r#","received_at":"{received_at}"}}"#))
    }

    #[test]
    fn one_an_array_or_lines() {
        let good = Ok(arrived("2026-11-23T12:00:05Z"));
        let late = POSITION.replace("6.44", "96.44");
        let pretty = POSITION.replace(',', ",\n");
        assert_eq!(outcomes(POSITION.as_bytes(), None), [(0, good.clone())]);
        assert_eq!(outcomes(pretty.as_bytes(), Some("application/json")), [(0, good.clone())]);
        let array = format!("[{POSITION},{late},{{}},{POSITION}]");
        let expected = [
            (0, good.clone()),
            (1, Err("coordinates".to_owned())),
            (2, Err("missing_field".to_owned())),
            (3, good.clone()),
        ];
        assert_eq!(outcomes(array.as_bytes(), None), expected);
        let lines = format!("{POSITION}\r\n\n{late}\n{{\n{POSITION}\n");
        let expected = [
            (0, good.clone()),
            (2, Err("coordinates".to_owned())),
            (3, Err("malformed".to_owned())),
            (4, good.clone()),
        ];
        assert_eq!(outcomes(lines.as_bytes(), None), expected);
        assert_eq!(outcomes(lines.as_bytes(), Some("application/x-ndjson; charset=utf-8")), expected);
        assert_eq!(outcomes(b"[]", None), []);
        assert_eq!(outcomes(b"\xff\n", Some("application/x-ndjson")), [(0, Err("invalid_utf8".to_owned()))]);
        let deep = format!("{{\"a\":{}", "[".repeat(100));
        assert_eq!(outcomes(deep.as_bytes(), Some("application/x-ndjson")), [(0, Err("too_large".to_owned()))]);
    }

    #[test]
    fn the_arrival_is_ours_whatever_is_stated() {
        for stated in ["2026-11-23T12:00:03Z", "2026-11-23T13:00:00Z"] {
            assert_eq!(outcomes(arrived(stated).as_bytes(), None), [(0, Ok(arrived("2026-11-23T12:00:05Z")))]);
        }
    }

    #[test]
    fn a_refusal_names_its_vehicle_and_keeps_its_bytes() {
        let late = POSITION.replace("6.44", "96.44");
        let items = read(&Message::from_body(late.as_bytes(), ARRIVAL), &Options::default()).unwrap();
        let refused = items[0].result.clone().unwrap_err();
        assert_eq!(refused.vehicle_id.as_deref(), Some("T1"));
        assert_eq!(refused.bytes, late.as_bytes());
        assert_eq!(refused.rejection().reason, Reason::Coordinates);
    }

    #[test]
    fn a_body_that_is_no_json_or_has_too_many_is_an_error() {
        let read = |body: &[u8], options: &Options| read(&Message::from_body(body, ARRIVAL), options);
        let fault = read(b"{\"type\":\"position\",", &Options::default()).unwrap_err();
        assert!(fault.to_string().contains("body, line 1, column 19"), "{fault}");
        assert!(!fault.is_too_large());
        assert!(read(b"lat=1\nlon=2", &Options::default()).is_err());
        let few = Options { max_events: 2, ..Options::default() };
        assert!(read(b"[{},{}]", &few).is_ok());
        assert!(read(b"[{},{},{}]", &few).unwrap_err().is_too_large());
    }
}
