//! What every format keeps to: a line of the table each, and whatever is made of it by chance.

use proptest::prelude::*;
use watchtower_core::events::{Limits, json};

use super::*;
use crate::reading::parse_time_zone;

/// 2026-11-23T12:00:05Z.
const ARRIVAL: i64 = 1_795_435_205_000;

/// A message and the events of it, as JSON without their arrival.
struct Sample {
    format: Format,
    query: Option<&'static str>,
    body: &'static [u8],
    events: &'static [&'static str],
}

const fn sample(
    format: Format,
    query: Option<&'static str>,
    body: &'static [u8],
    events: &'static [&'static str],
) -> Sample {
    Sample { format, query, body, events }
}

const fn body(format: Format, text: &'static str, events: &'static [&'static str]) -> Sample {
    sample(format, None, text.as_bytes(), events)
}

/// Where the vehicle of most samples is.
const AT: &str =
    r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":36.0}"#;

const SAMPLES: &[Sample] = &[
    body(Format::Native, AT, &[AT]),
    body(
        Format::Native,
        r#"[{"type":"vehicle","vehicle_id":"T1","fleet":"VPC"},{"type":"clock","now":"2026-11-23T12:00:00Z"}]"#,
        &[r#"{"type":"vehicle","vehicle_id":"T1","fleet":"VPC"}"#, r#"{"type":"clock","now":"2026-11-23T12:00:00Z"}"#],
    ),
    sample(Format::OsmAnd, Some("id=T1&lat=6.44&lon=3.36&timestamp=1795435200&speed=19.438444924406"), b"", &[AT]),
    sample(Format::OsmAnd, None, b"id=T1&lat=6.44&lon=3.36&timestamp=1795435200000&speed=19.438444924406", &[AT]),
    body(
        Format::OsmAnd,
        r#"{"device_id":"T1","location":{"timestamp":"2026-11-23T12:00:00Z","coords":{"latitude":6.44,"longitude":3.36,"speed":10,"heading":-1}}}"#,
        &[AT],
    ),
    body(
        Format::OwnTracks,
        r#"{"_type":"location","tid":"T1","tst":1795435200,"lat":6.44,"lon":3.36,"vel":36}"#,
        &[r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":36.0,"attributes":{"tid":"T1"}}"#],
    ),
    body(
        Format::Traccar,
        r#"{"position":{"deviceTime":"2026-11-23T12:00:01.000+00:00","fixTime":"2026-11-23T12:00:00.000+00:00","latitude":6.44,"longitude":3.36,"speed":10.0},"device":{"id":7,"uniqueId":"T1"}}"#,
        &[
            r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":18.52,"attributes":{"deviceTime":"2026-11-23T12:00:01.000+00:00"}}"#,
        ],
    ),
    body(
        Format::LocoNav,
        r#"{"vehiclenumber":"T1","latitude":6.44,"longitude":3.36,"speed":36,"gpstime":"23-11-2026 13:00:00"}"#,
        &[AT],
    ),
    body(
        Format::LocoNav,
        r#"{"id":8,"vehicle_number":"T1","event_time":"2026-11-23T17:30:00+05:30","latitude":6.44,"longitude":3.36,"speed":36,"kind":"SharpTurnAlert"}"#,
        &[
            r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":36.0,"attributes":{"alert":"SharpTurnAlert","alert_id":8}}"#,
        ],
    ),
    sample(
        Format::Nmea,
        Some("id=T1"),
        b"$GPGGA,120000,0626.4000,N,00321.6000,E,1,08,0.9,12.0,M,,M,,\n$GPRMC,120000,A,0626.4000,N,00321.6000,E,10.0,90.0,231126,,,A\n",
        &[
            r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":18.52,"heading_deg":90.0,"altitude_m":12.0}"#,
        ],
    ),
    body(
        Format::Ais,
        "!AIVDO,1,1,,A,B9jc`P00I03n600ruL0p@f?00000,0\n!AIVDO,2,2,3,A,00000000000,2\n!AIVDO,2,1,3,A,59jc`P02:N2WDp48000h4Lu>10ThuB01@E=@001600000000000D0D0@0000,0",
        &[
            r#"{"type":"position","vehicle_id":"657123456","ts":"2026-11-23T11:59:30Z","lon":3.36,"lat":6.44,"speed_kmh":18.52,"heading_deg":90.0,"attributes":{"true_heading":92}}"#,
            r#"{"type":"vehicle","vehicle_id":"657123456","name":"LAGOS PILOT","attributes":{"imo":9074729,"call_sign":"5NAB","ship_type":70}}"#,
        ],
    ),
    body(
        Format::GeoJson,
        r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[3.36,6.44]},"properties":{"vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","speed_kmh":36}}"#,
        &[AT],
    ),
    sample(
        Format::GtfsRealtime,
        None,
        b"\x0a\x0b\x0a\x03\x32\x2e\x30\x18\xc0\xd5\x90\xd8\x06\x12\x1c\x0a\x01\x31\x22\x17\x12\x0f\x0d\x7b\x14\xce\x40\x15\x3d\x0a\x57\x40\x2d\x00\x00\x20\x41\x42\x04\x0a\x02\x54\x31",
        &[
            r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T12:00:00Z","lon":3.3599999,"lat":6.4400001,"speed_kmh":36.0}"#,
        ],
    ),
];

fn options() -> Options {
    let time_zone = Some(parse_time_zone("Africa/Lagos").unwrap());
    Options { time_zone, vehicle_id: Some("V1".to_owned()), ..Options::default() }
}

fn read_sample(sample: &Sample, body: &[u8], options: &Options) -> Result<Vec<Item>, MessageError> {
    read(sample.format, &Message { query: sample.query, ..Message::from_body(body, ARRIVAL) }, options)
}

#[test]
fn every_fuzz_target_has_seeds_that_are_messages() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for format in Format::ALL {
        let folder = seeds.join(format.name().replace('-', "_"));
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for file in files {
            let (path, body) = file.map(|file| (file.path(), std::fs::read(file.path()).unwrap())).unwrap();
            let items = read(format, &Message::from_body(&body, ARRIVAL), &options()).unwrap();
            assert!(items.iter().any(|item| item.result.is_ok()), "{}: {items:?}", path.display());
            count += 1;
        }
        assert!(count > 0, "{} is empty", folder.display());
    }
}

#[test]
fn every_format_has_a_sample_and_reads_it() {
    for format in Format::ALL {
        assert!(SAMPLES.iter().any(|sample| sample.format == format), "{} has no sample", format.name());
        assert!(options().missing_for(format).is_empty());
    }
    for sample in SAMPLES {
        let items = read_sample(sample, sample.body, &options()).unwrap();
        let found: Vec<String> = items
            .into_iter()
            .map(|item| {
                let mut event = item.result.unwrap();
                assert_eq!(event.received_at_mut().take(), Some(ARRIVAL));
                json::encode(&event)
            })
            .collect();
        assert_eq!(found, sample.events, "{}", sample.format.name());
    }
}

#[test]
fn every_event_is_one_that_the_log_reads_back() {
    for item in SAMPLES.iter().flat_map(|sample| read_sample(sample, sample.body, &options()).unwrap()) {
        let event = item.result.unwrap();
        let text = json::encode(&event);
        assert_eq!(json::decode(text.as_bytes(), &Limits::default()), Ok(event), "{text}");
    }
}

#[test]
fn more_events_than_allowed_are_too_many() {
    for sample in SAMPLES {
        let most = |max_events| read_sample(sample, sample.body, &Options { max_events, ..options() });
        assert!(most(sample.events.len()).is_ok());
        assert_eq!(
            most(sample.events.len() - 1),
            Err(MessageError::TooManyEvents { most: sample.events.len() - 1 }),
            "{}",
            sample.format.name()
        );
    }
}

#[test]
fn what_is_nested_deeply_or_is_large_is_refused() {
    for format in Format::ALL {
        for nested in ["[".repeat(1 << 20), "{\"location\":".repeat(1 << 16), "{\"a\":[".repeat(1 << 16)] {
            let message = Message::from_body(nested.as_bytes(), ARRIVAL);
            match read(format, &message, &options()) {
                Err(_) => {}
                Ok(items) => assert!(items.iter().all(|item| item.result.is_err()), "{}", format.name()),
            }
        }
    }
    // An attribute that is too large is refused with the event that has it.
    let large = "x".repeat(70_000);
    for sample in SAMPLES.iter().filter(|sample| sample.body.starts_with(b"{")) {
        let text = std::str::from_utf8(sample.body).unwrap();
        let item = text.replacen('{', &format!("{{\"pad\":\"{large}\","), 1);
        let item = item.replace(r#""properties":{"#, &format!(r#""properties":{{"pad":"{large}","#));
        let item = item.replace(r#""location":{"#, &format!(r#""location":{{"pad":"{large}","#));
        let item = item.replace(r#""position":{"#, &format!(r#""position":{{"pad":"{large}","#));
        let items = read_sample(sample, item.as_bytes(), &options()).unwrap();
        let reason = items[0].result.clone().unwrap_err().reason;
        assert_eq!(reason.as_str(), "too_large", "{}", sample.format.name());
    }
}

/// Values that no writer means well.
const STRANGE: [&str; 16] = [
    "null",
    "-1",
    "1e999",
    "-0.0",
    "9223372036854775808",
    "99999999999999999999",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "true",
    "NaN",
    "\u{2028}",
    "%",
    "é",
];

/// One change of a message.
#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    /// A number is replaced.
    Number(usize, usize),
    End(usize),
}

impl Change {
    fn apply(&self, body: &mut Vec<u8>) {
        let at = |position: usize| position % body.len().max(1);
        match *self {
            _ if body.is_empty() => {}
            Self::Byte(position, byte) => {
                let at = at(position);
                body[at] = byte;
            }
            Self::Remove(position, count) => {
                let from = at(position);
                body.drain(from..(from + count).min(body.len()));
            }
            Self::Repeat(position, count) => {
                let from = at(position);
                let piece = body[from..(from + count).min(body.len())].to_vec();
                body.splice(from..from, piece);
            }
            Self::Number(position, strange) => {
                let from = at(position);
                let Some(start) = (from..body.len()).find(|&at| body[at].is_ascii_digit()) else { return };
                let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
                let end = (start..body.len()).find(|&at| !is_part(body[at])).unwrap_or(body.len());
                body.splice(start..end, STRANGE[strange % STRANGE.len()].bytes());
            }
            Self::End(position) => body.truncate(at(position)),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<usize>(), 1..20usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<usize>(), 1..40usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        (any::<usize>(), any::<usize>()).prop_map(|(at, strange)| Change::Number(at, strange)),
        any::<usize>().prop_map(Change::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Nothing panics, what is refused is kept, and what is read is an event that the log reads back.
    #[test]
    fn whatever_is_made_of_a_sample_is_read_or_refused(
        index in 0..SAMPLES.len(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let sample = &SAMPLES[index];
        let is_query = sample.body.is_empty();
        let mut bytes = if is_query { sample.query.unwrap().as_bytes().to_vec() } else { sample.body.to_vec() };
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let query = String::from_utf8_lossy(&bytes).into_owned();
        let message = match is_query {
            true => Message { query: Some(&query), ..Message::from_body(b"", ARRIVAL) },
            false => Message { query: sample.query, ..Message::from_body(&bytes, ARRIVAL) },
        };
        for item in read(sample.format, &message, &options()).unwrap_or_default() {
            match item.result {
                Ok(event) => {
                    let text = json::encode(&event);
                    prop_assert_eq!(json::decode(text.as_bytes(), &Limits::default()), Ok(event), "{}", text);
                }
                Err(refused) => {
                    prop_assert!(!refused.detail.is_empty());
                    prop_assert!(!refused.bytes.is_empty());
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(format in 0..Format::ALL.len(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(Format::ALL[format], &Message::from_body(&bytes, ARRIVAL), &options());
    }
}
