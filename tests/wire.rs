//! The wire format: its three shapes say the same, and no bytes make a decoder panic.

use std::borrow::Cow;

use proptest::prelude::*;
use watchtower_core::events::binary::{self, Batch, UnknownVersion};
use watchtower_core::events::{Decoded, Event, Limits, Reason, Rejection, decode_entry, json, plain};

type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

fn entry<'a>(fields: &[(&'a [u8], &'a [u8])]) -> Vec<Decoded<'a>> {
    let mut all = Vec::new();
    decode_entry(fields, &Limits::default(), |decoded| all.push(decoded)).unwrap();
    all
}

fn one<'a>(fields: &[(&'a [u8], &'a [u8])]) -> Result<Event<'a>, Rejection> {
    let mut all = entry(fields);
    assert_eq!(all.len(), 1);
    all.remove(0).result
}

fn as_json(text: &str) -> Result<Event<'_>, Rejection> {
    one(&[(b"json", text.as_bytes())])
}

fn as_plain(text: &[(&str, &str)]) -> Result<Event<'static>, Rejection> {
    let pairs: Pairs<'_> = text.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    one(&pairs).map(Event::into_owned)
}

/// Writes the event in each shape and reads it back.
fn round_trips(event: &Event<'_>) -> Result<(), TestCaseError> {
    let line = json::encode(event);
    prop_assert!(!line.contains('\n'), "{}", line);
    prop_assert_eq!(&as_json(&line).map_err(|fault| TestCaseError::fail(format!("{fault}: {line}")))?, event);

    let pairs = plain::encode(event);
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    prop_assert_eq!(&as_plain(&pairs).map_err(|fault| TestCaseError::fail(format!("{fault}: {pairs:?}")))?, event);

    let mut batch = Batch::default();
    batch.push(event);
    batch.push(event);
    let bytes = batch.take();
    let back = entry(&[(b"bin", &bytes)]);
    prop_assert_eq!(back.len(), 2);
    for (index, decoded) in back.iter().enumerate() {
        prop_assert_eq!(decoded.index, index);
        prop_assert_eq!(decoded.result.as_ref(), Ok(event));
    }
    Ok(())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9 _-]{1,20}", "[^\\x00]{1,40}"]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Z0-9]{1,12}", "[^\\p{Cc}]{1,128}"]
}

fn time() -> impl Strategy<Value = i64> {
    315_532_800_000i64..4_102_444_800_000
}

fn attributes() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e9..1e9).prop_map(Into::<serde_json::Value>::into),
        text().prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Into::into));
    prop::collection::vec((text(), value), 1..5)
        .prop_map(|members| serde_json::Value::Object(members.into_iter().collect()))
}

/// Members that an event may or may not have.
fn optional(members: Vec<(&'static str, BoxedStrategy<serde_json::Value>)>) -> BoxedStrategy<serde_json::Value> {
    let (names, values): (Vec<_>, Vec<_>) =
        members.into_iter().map(|(name, value)| (name, prop::option::of(value))).unzip();
    values
        .prop_map(move |values| {
            let present = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
            serde_json::Value::Object(present.collect())
        })
        .boxed()
}

fn value<T: Into<serde_json::Value> + std::fmt::Debug + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<serde_json::Value> {
    strategy.prop_map(Into::into).boxed()
}

fn geometry() -> BoxedStrategy<serde_json::Value> {
    (-179.0..178.0, -89.0..88.0, 0.001..1.0)
        .prop_map(|(x, y, d): (f64, f64, f64)| {
            serde_json::json!({"type": "Polygon", "coordinates": [[[x, y], [x + d, y], [x + d, y + d], [x, y + d], [x, y]]]})
        })
        .boxed()
}

/// An event as JSON: decoding it is the one way to make any event that can be.
fn event() -> impl Strategy<Value = String> {
    let with =
        |kind: &'static str, required: BoxedStrategy<serde_json::Value>, more: BoxedStrategy<serde_json::Value>| {
            (required, more).prop_map(move |(required, more)| {
                let mut all = serde_json::json!({ "type": kind });
                for members in [required, more] {
                    let members = members.as_object().unwrap().clone();
                    all.as_object_mut().unwrap().extend(members);
                }
                all.to_string()
            })
        };
    let fix = (id(), time(), -180.0..=180.0, -90.0..=90.0)
        .prop_map(|(id, ts, lon, lat)| serde_json::json!({"vehicle_id": id, "ts": ts, "lon": lon, "lat": lat}))
        .boxed();
    let gone =
        (id(), time()).prop_map(|(id, ts)| serde_json::json!({"vehicle_id": id, "ts": ts, "deleted": true})).boxed();
    let area =
        (id(), geometry()).prop_map(|(id, geometry)| serde_json::json!({"geofence_id": id, "geometry": geometry}));
    let circle = (id(), -180.0..=180.0, -80.0..=80.0, 1.0..5000.0).prop_map(|(id, lon, lat, radius)| {
        serde_json::json!({"geofence_id": id, "geometry": {"type": "Point", "coordinates": [lon, lat]}, "radius_m": radius})
    });
    let rules = || {
        optional(vec![
            ("valid_from", value(time())),
            ("received_at", value(time())),
            ("name", value(text())),
            ("kind", value(text())),
            ("anchor", value(any::<bool>())),
            ("tags", value(prop::collection::vec(text(), 0..4))),
            ("min_dwell_s", value(0.0..1e6)),
            ("exit_buffer_m", value(0.0..=5000.0)),
            ("speed_limit_kmh", value(0.1..6000.0)),
        ])
    };
    let measures = optional(vec![
        ("received_at", value(time())),
        ("speed_kmh", value(-1.0..6000.0)),
        ("heading_deg", value(-1.0..400.0)),
        ("accuracy_m", value(-1.0..1e6)),
        ("altitude_m", value(-1e5..1e5)),
        ("ignition", value(any::<bool>())),
        ("attributes", attributes().boxed()),
    ]);
    let metadata = optional(vec![
        ("valid_from", value(time())),
        ("received_at", value(time())),
        ("name", value(text())),
        ("fleet", value(text())),
        ("speed_limit_kmh", value(0.1..6000.0)),
        ("attributes", attributes().boxed()),
    ]);
    let vehicle = id().prop_map(|id| serde_json::json!({ "vehicle_id": id })).boxed();
    let deleted = |name: &'static str| id().prop_map(move |id| serde_json::json!({name: id, "deleted": true})).boxed();
    let dates = || optional(vec![("valid_from", value(time())), ("received_at", value(time()))]);
    let clock = time().prop_map(|now| serde_json::json!({ "now": now })).boxed();
    prop_oneof![
        4 => with("position", fix, measures),
        1 => with("position", gone, optional(vec![("received_at", value(time()))])),
        2 => with("geofence", area.boxed(), rules()),
        2 => with("geofence", circle.boxed(), rules()),
        1 => with("geofence", deleted("geofence_id"), dates()),
        2 => with("vehicle", vehicle, metadata),
        1 => with("vehicle", deleted("vehicle_id"), dates()),
        1 => with("clock", clock, optional(vec![("received_at", value(time()))])),
    ]
}

proptest! {
    #[test]
    fn the_shapes_say_the_same(text in event()) {
        let event = as_json(&text).map_err(|fault| TestCaseError::fail(format!("{fault}: {text}")))?;
        round_trips(&event)?;
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "[a-z_]{0,12}") {
        entry(&[(b"json", &bytes)]);
        entry(&[(name.as_bytes(), &bytes), (b"ts", &bytes)]);
        let _ = binary::decode(&bytes, &Limits::default(), |_| {});
        let _ = binary::decode(&[b"WTB\x01", bytes.as_slice()].concat(), &Limits::default(), |_| {});
    }

    #[test]
    fn a_broken_event_is_refused_or_read(text in event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text.clone().into_bytes();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = json::decode(&bytes, &Limits::default());

        let mut batch = Batch::default();
        batch.push(&as_json(&text).map_err(|fault| TestCaseError::fail(fault.to_string()))?);
        let mut bytes = batch.take();
        let whole = bytes.len();
        let place = 8 + at.index(whole - 8);
        bytes[place] = byte;
        let mut count = 0;
        let _ = binary::decode(&bytes, &Limits::default(), |_| count += 1);
        prop_assert!(count >= 1);
        for decoded in entry(&[(b"bin", &bytes[..place])]) {
            prop_assert!(decoded.result.is_err());
        }
    }
}

#[test]
fn the_examples_of_the_documentation_are_read() {
    let position = as_json(
        r#"{"type":"position","vehicle_id":"T11985LA","ts":"2026-11-23T06:00:00Z","lon":3.4755,"lat":6.5563,"speed_kmh":41,"heading_deg":180,"accuracy_m":5,"ignition":true,"attributes":{"fuel":62}}"#,
    )
    .unwrap();
    let plain = as_plain(&[
        ("type", "position"),
        ("vehicle_id", "T11985LA"),
        ("ts", "1795413600000"),
        ("lon", "3.4755"),
        ("lat", " 6.5563"),
        ("speed_kmh", "41.0"),
        ("heading", "180"),
        ("accuracy_m", "5"),
        ("altitude_m", ""),
        ("ignition", "YES"),
        ("attributes", r#"{"fuel":62}"#),
    ]);
    assert_eq!(plain.as_ref(), Ok(&position));
    for text in [
        r#"{"type":"position","vehicle_id":"T11985LA","ts":"2026-11-23T06:00:00Z","deleted":true}"#,
        r#"{"type":"geofence","geofence_id":"yard","valid_from":"2026-11-01T00:00:00Z","kind":"depot","geometry":{"type":"Point","coordinates":[3.36,6.44]},"radius_m":150}"#,
        r#"{"type":"geofence","geofence_id":"yard","valid_from":"2026-11-20T00:00:00Z","deleted":true}"#,
        r#"{"type":"vehicle","vehicle_id":"T11985LA","valid_from":"2026-11-01T00:00:00Z","name":"MACK 40FT","fleet":"VPC","speed_limit_kmh":60}"#,
        r#"{"type":"clock","now":"2026-11-23T06:00:01Z"}"#,
    ] {
        round_trips(&as_json(text).unwrap()).unwrap();
    }
}

#[test]
fn unknown_fields_of_a_position_are_attributes_where_fields_are_plain() {
    let plain = as_plain(&[
        ("type", "position"),
        ("vehicle_id", "a"),
        ("ts", "1795413600000"),
        ("lon", "1"),
        ("lat", "2"),
        ("door", "open"),
        ("name", "n"),
        ("empty", ""),
    ]);
    let head = r#"{"type":"position","vehicle_id":"a","ts":1795413600000,"lon":1,"lat":2,"speed_kmh":null"#;
    let text = format!(r#"{head},"attributes":{{"door":"open"}},"name":"n","empty":null}}"#);
    let json = as_json(&text);
    assert_eq!(plain.unwrap(), json.unwrap());
}

#[test]
fn an_array_holds_many_events_and_refuses_one_at_a_time() {
    let text = br#" [{"type":"clock","now":1795413600000}, 7, {"type":"clock","now":1795413600001,"received_at":1795413600002}]"#;
    let all = entry(&[(b"received_at", b"1795413600003"), (b"json", text), (b"traceparent", b"x")]);
    let received = |at: usize| all[at].result.as_ref().map(Event::received_at).map_err(|rejection| rejection.reason);
    assert_eq!(received(0), Ok(Some(1_795_413_600_003)));
    assert_eq!(received(1), Err(Reason::Malformed));
    assert_eq!(received(2), Ok(Some(1_795_413_600_002)));
    assert_eq!((all[1].index, &all[1].bytes), (1, &Cow::Borrowed(b"7".as_slice())));
    assert!(entry(&[(b"json", b"[]")]).is_empty());
}

#[test]
fn a_refused_event_costs_the_batch_nothing_else() {
    let good = as_json(r#"{"type":"position","vehicle_id":"a","ts":1795413600000,"lon":1,"lat":2}"#).unwrap();
    let mut batch = Batch::default();
    (0..3).for_each(|_| batch.push(&good));
    let mut bytes = batch.take();
    let size = (bytes.len() - 8) / 3;
    let lon = 8 + size + 1 + 2 + 2 + 1 + 8;
    bytes[lon..lon + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    let all = entry(&[(b"bin", &bytes)]);
    let reasons: Vec<_> = all.iter().map(|decoded| decoded.result.as_ref().err().map(|fault| fault.reason)).collect();
    assert_eq!(reasons, [None, Some(Reason::Coordinates), None]);
    assert_eq!(all[1].bytes.as_ref(), &bytes[8 + size..8 + 2 * size]);
}

#[test]
fn a_newer_version_halts_and_a_wrong_header_is_refused() {
    let decode = |bytes: &[u8]| binary::decode(bytes, &Limits::default(), |_| {});
    assert_eq!(decode(b"WTB\x02\0\0\0\0"), Err(UnknownVersion(2)));
    assert_eq!(decode(b"WTB\x01\0\0\0\0"), Ok(()));
    for bytes in
        [b"".as_slice(), b"WTB", b"WTC\x01\0\0\0\0", b"WTB\0\0\0\0\0", b"WTB\x01\0\0\0\0x", b"WTB\x01\x01\0\0\0"]
    {
        let all = entry(&[(b"bin", bytes)]);
        assert_eq!(all.len(), 1, "{bytes:?}");
        assert_eq!(all[0].result.as_ref().unwrap_err().reason, Reason::Malformed, "{bytes:?}");
    }
}
