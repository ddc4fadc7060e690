//! Sentences that pyais 3.3.1 has encoded, unless a test states another origin.

use super::*;
use watchtower_core::events::json::encode;

/// 2026-11-23T12:00:05Z.
const ARRIVAL: i64 = 1_795_435_205_000;

fn items_at(lines: &[&str], received_at: i64, options: &Options) -> Vec<(usize, Result<String, String>)> {
    let body = lines.join("\n");
    let items = read(&Message::from_body(body.as_bytes(), received_at), options).unwrap();
    let without_arrival = |event| {
        let json = encode(&event);
        let end = json.find(r#","received_at""#).unwrap();
        format!("{}}}", &json[..end])
    };
    let outcome = |item: Item| (item.index, item.result.map(without_arrival).map_err(|refused| refused.detail));
    items.into_iter().map(outcome).collect()
}

fn outcomes(lines: &[&str]) -> Vec<(usize, Result<String, String>)> {
    items_at(lines, ARRIVAL, &Options::default())
}

/// A position of the vessel of most sentences here, in the second 30.
fn position(rest: &str) -> String {
    format!(r#"{{"type":"position","vehicle_id":"657123456","ts":"2026-11-23T11:59:30Z","lon":3.36,"lat":6.44{rest}}}"#)
}

fn vessel(vehicle_id: &str, rest: &str) -> String {
    format!(r#"{{"type":"vehicle","vehicle_id":"{vehicle_id}",{rest}}}"#)
}

#[test]
fn positions_of_each_type() {
    for (line, rest) in [
        (
            "!AIVDO,1,1,,A,19jc`P001T0?HH03cmh3Q2puP000,0*2F",
            r#","speed_kmh":18.52,"heading_deg":90.0,"attributes":{"navigation_status":0,"true_heading":92,"rate_of_turn":0}"#,
        ),
        (
            "!AIVDO,1,1,,A,19jc`P53iT0?HH03cmh3Q2puP000,0*71",
            r#","speed_kmh":18.52,"heading_deg":90.0,"attributes":{"navigation_status":5,"true_heading":92,"rate_of_turn":10}"#,
        ),
        (
            "!AIVDO,1,1,,A,99jc`P1;1p0?HH03cmh3Q7P00000,0*09",
            r#","speed_kmh":222.24,"heading_deg":90.0,"altitude_m":300.0"#,
        ),
        (
            "!AIVDO,1,1,,A,B9jc`P00I03n600ruL0p@f?00000,0*56",
            r#","speed_kmh":18.52,"heading_deg":90.0,"attributes":{"true_heading":92}"#,
        ),
    ] {
        assert_eq!(outcomes(&[line]), [(0, Ok(position(rest)))], "{line}");
    }
    // Of satellites, without a second: it is of its reception.
    let long_range = position(r#","speed_kmh":18.52,"heading_deg":90.0,"attributes":{"navigation_status":0}"#);
    let long_range = long_range.replace("11:59:30", "12:00:05");
    assert_eq!(outcomes(&["!AIVDO,1,1,,A,K9jc`P007p0N<55`,0*0A"]), [(0, Ok(long_range))]);
    // South, west, an MMSI with zeros before it.
    let found = outcomes(&["!AIVDO,1,1,,A,101;FQwP1TJuAe1dvFD3Q2puP000,0*75"]).remove(0).1.unwrap();
    assert!(found.contains(r#""vehicle_id":"001234567""#) && found.contains(r#""lon":-70.5,"lat":-33.25"#), "{found}");
}

#[test]
fn a_sentence_from_the_air() {
    // From the documentation of pyais.
    let expected = r#"{"type":"position","vehicle_id":"265547250","ts":"2026-11-23T11:59:53Z","lon":11.8329767,"lat":57.6603533,"speed_kmh":25.7428,"heading_deg":40.4,"attributes":{"navigation_status":0,"true_heading":41,"rate_of_turn":-2.9}}"#;
    assert_eq!(outcomes(&["!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24"]), [(0, Ok(expected.to_owned()))]);
}

#[test]
fn not_available_differs_by_type() {
    for (line, rest) in [
        // Speed 102.3, course 360, heading 511, turn -128, status 15, second 60.
        ("!AIVDO,1,1,,A,19jc`P?P?w0?HH03cmh>4?wqP000,0*0B", ""),
        // An aircraft: speed 1023, altitude 4095, second 63.
        ("!AIVDO,1,1,,A,99jc`P?www0?HH03cmh>4?h00000,0*52", ""),
        // Class B: speed 102.3, course 360, heading 511, second 60.
        ("!AIVDO,1,1,,A,B9jc`P03wh3n600ruL3Q3wv00000,0*3A", ""),
        // For satellites: speed 63, course 511, status 15.
        ("!AIVDO,1,1,,A,K9jc`P3h7p0N<Owt,0*7D", ""),
    ] {
        let expected = position(rest).replace("11:59:30", "12:00:05");
        assert_eq!(outcomes(&[line]), [(0, Ok(expected))], "{line}");
    }
    // Longitude 181 and latitude 91: no position.
    assert_eq!(outcomes(&["!AIVDO,1,1,,A,19jc`P?P?w<tSF0l4Q@>4?wqP000,0*45"]), []);
}

#[test]
fn names_are_vehicle_events() {
    let static_data = [
        "!AIVDO,2,2,3,A,00000000000,2*25",
        "!AIVDO,2,1,3,A,59jc`P02:N2WDp48000h4Lu>10ThuB01@E=@001600000000000D0D0@0000,0*65",
    ];
    let named =
        vessel("657123456", r#""name":"LAGOS PILOT","attributes":{"imo":9074729,"call_sign":"5NAB","ship_type":70}"#);
    assert_eq!(outcomes(&static_data), [(1, Ok(named.clone()))]);
    let again = [static_data, static_data].concat();
    assert_eq!(outcomes(&again), [(1, Ok(named))], "a name that is repeated is no event");
    let part_a = outcomes(&["!AIVDO,1,1,,A,H9jc`P0HE99V0tpD000000000000,0*77"]);
    assert_eq!(part_a, [(0, Ok(vessel("657123456", r#""name":"FERRY ONE""#)))]);
    assert_eq!(outcomes(&["!AIVDO,1,1,,A,H9jc`P4t0000000m>13000000000,0*7D"]), [], "part B has no name");
    // From the air, with a tag block: the documentation of pyais.
    let ever_diadem = [
        "!AIVDM,2,1,1,A,55?MbV02;H;s<HtKR20EHE:0@T4@Dn2222222216L961O5Gf0NSQEp6ClRp8,0*1C",
        "!AIVDM,2,2,1,A,88888888880,2*25",
    ];
    let named = r#""name":"EVER DIADEM","attributes":{"imo":9134270,"call_sign":"3FOF8","ship_type":70}"#;
    assert_eq!(outcomes(&ever_diadem), [(1, Ok(vessel("351759000", named)))]);
}

#[test]
fn type_19_is_a_position_and_a_name() {
    let line = "!AIVDO,1,1,,A,C9jc`P00I03n600ruL0p@f?0<:TTk0NL:00000000000N0000000,0*7C";
    let at = position(r#","speed_kmh":18.52,"heading_deg":90.0,"attributes":{"true_heading":92}"#);
    let named = vessel("657123456", r#""name":"FERRY ONE","attributes":{"ship_type":60}"#);
    assert_eq!(outcomes(&[line]), [(0, Ok(at.clone())), (0, Ok(named))]);
    let nameless = Options { vessel_names: false, ..Options::default() };
    assert_eq!(items_at(&[line], ARRIVAL, &nameless), [(0, Ok(at))]);
}

#[test]
fn the_minute_is_that_of_the_reception() {
    let line = "!AIVDO,1,1,,A,19jc`P001T0?HH03cmh3Q2puP000,0*2F";
    let ts = |line: &str, received_at: i64| {
        let json = items_at(&[line], received_at, &Options::default()).remove(0).1.unwrap();
        json.split(r#""ts":""#).nth(1).unwrap()[..20].to_owned()
    };
    for (received_at, expected) in [
        (ARRIVAL, "2026-11-23T11:59:30Z"),
        (ARRIVAL + 19_999, "2026-11-23T11:59:30Z"),
        // The clock of the vessel is at most five seconds ahead.
        (ARRIVAL + 20_000, "2026-11-23T12:00:30Z"),
        (ARRIVAL + 54_999, "2026-11-23T12:00:30Z"),
        (ARRIVAL + 79_999, "2026-11-23T12:00:30Z"),
        (ARRIVAL + 80_000, "2026-11-23T12:01:30Z"),
    ] {
        assert_eq!(ts(line, received_at), expected);
    }
    let block = "c:1600000000";
    let sum = block.bytes().fold(0, |sum, byte| sum ^ byte);
    assert_eq!(ts(&format!("\\{block}*{sum:02X}\\{line}"), ARRIVAL), "2020-09-13T12:26:30Z");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_lines() {
    let short = "!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1C,0";
    let wrong_sum = "!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*25";
    let alone = "!AIVDM,2,1,1,A,55?MbV02;H;s<HtKR20EHE:0@T4@Dn2222222216L961O5Gf0NSQEp6ClRp8,0*1C";
    let found = outcomes(&[short, wrong_sum, alone, "$GPGSV,1,1,00", "!AIVDM,1,1,,A,1X,0"]);
    for ((index, outcome), (expected_index, detail)) in found.iter().zip([
        (0, "expected a whole AIS message, found 138 bits of it"),
        (1, "expected an AIS sentence: the checksum is 24, and 25 is given"),
        (4, "expected an AIS sentence: the payload has a character that none may have"),
        (2, "expected an AIS sentence: sentence 2 of 2 is missing"),
    ]) {
        assert_eq!(*index, expected_index);
        assert!(outcome.clone().unwrap_err().starts_with(detail), "{outcome:?}");
    }
    assert_eq!(found.len(), 4);
    let items = read(&Message::from_body(short.as_bytes(), ARRIVAL), &Options::default()).unwrap();
    let refused = items[0].result.clone().unwrap_err();
    assert_eq!((refused.bytes, refused.vehicle_id.as_deref()), (short.as_bytes().to_vec(), Some("265547250")));
    assert!(read(&Message::from_body(b"{}", 0), &Options::default()).is_err());
}
