//! What is sent and what is answered, on a loopback address without any configuration.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use watchtower_inputs::messages::Format;

use super::support::{FileGateway, YARD, now_s, osmand, position, try_request};
use crate::support::number;
use crate::support::rng::Rng;

#[test]
fn a_position_of_osmand_is_in_the_log_before_it_is_answered() {
    let gateway = FileGateway::start("", "");
    let answer = gateway.request("GET", &osmand("/in/osmand", "T1"), &[], "");
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &1.into()));
    assert_eq!(gateway.entries(), 1);
    let form = osmand("", "T2");
    let answer = gateway.post("/in/osmand", &[("Content-Type", "application/x-www-form-urlencoded")], &form[1..]);
    assert_eq!((answer.status, gateway.entries()), (200, 2), "{answer:?}");
}

#[test]
fn a_time_without_a_zone_is_refused_with_the_cure_and_kept() {
    let gateway = FileGateway::start("", "");
    let path = "/in/osmand?id=T1&lat=6.44&lon=3.36&timestamp=2026-11-30%2008:00:00";
    let answer = gateway.request("GET", path, &[], "");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert!(answer.body.contains("time_zone"), "{answer:?}");
    assert_eq!(gateway.entries(), 1, "{answer:?}");
    assert!(gateway.log_text().contains("refused"), "{}", gateway.log_text());
}

#[test]
fn own_events_are_one_an_array_or_lines_and_refused_ones_are_listed() {
    let gateway = FileGateway::start("", "");
    assert_eq!(gateway.post("/v1/events", &[], &position("T1")).json()["accepted"], 1);
    let mixed = format!("[{},{{\"type\":\"position\"}},{}]", position("T1"), position("T2"));
    let answer = gateway.post("/v1/events", &[], &mixed);
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &2.into()));
    let refused = &answer.json()["refused"];
    assert_eq!((&refused[0]["index"], &refused[0]["reason"]), (&1.into(), &"missing_field".into()), "{answer:?}");
    let lines = format!("{}\n{}\n", position("T1"), position("T2"));
    let answer = gateway.post("/v1/events", &[("Content-Type", "application/x-ndjson")], &lines);
    assert_eq!(answer.json()["accepted"], 2, "{answer:?}");
    let answer = gateway.post("/v1/events", &[], "[{}]");
    assert_eq!((answer.status, &answer.json()["accepted"]), (422, &0.into()), "{answer:?}");
    let answer = gateway.post("/v1/events", &[], "no JSON");
    assert!((400..423).contains(&answer.status), "{answer:?}");
    let kept = gateway.log_text();
    assert!(kept.contains("missing_field") && kept.contains("no JSON"), "{kept}");
}

#[test]
fn arrival_is_ours_whatever_the_sender_states() {
    let gateway = FileGateway::start("", "");
    let stated = position("T1").replace("\"lon\"", "\"received_at\":\"2001-01-01T00:00:00Z\",\"lon\"");
    assert_eq!(gateway.post("/v1/events", &[], &stated).status, 200);
    let connection = gateway.one.connection();
    let fields: Vec<u8> = connection.query_row("SELECT fields FROM log", (), |row| row.get(0)).unwrap();
    let mut arrivals = Vec::new();
    let batch = fields.windows(3).position(|name| name == b"bin").unwrap() + 3;
    // The length of the batch is one byte or two (LEB128).
    let begin = batch + if fields[batch] < 0x80 { 1 } else { 2 };
    watchtower_core::events::binary::decode(&fields[begin..], &Default::default(), |decoded| {
        arrivals.push(decoded.result.unwrap().received_at().unwrap());
    })
    .unwrap();
    assert_eq!(arrivals.len(), 1);
    assert!((arrivals[0] / 1000 - now_s()).abs() < 60, "{arrivals:?}");
}

#[test]
fn a_compressed_body_is_inflated() {
    let gateway = FileGateway::start("", "");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(position("T1").as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let headers = [("Content-Encoding", "gzip"), ("Content-Type", "application/json")];
    let answer = try_request(gateway.port, "POST", "/v1/events", &headers, &body).unwrap();
    assert_eq!((answer.status, gateway.entries()), (200, 1), "{answer:?}");
    let broken = try_request(gateway.port, "POST", "/v1/events", &headers, &body[..body.len() / 2]).unwrap();
    assert_eq!((broken.status, gateway.entries()), (400, 1), "{broken:?}");
    let other = try_request(gateway.port, "POST", "/v1/events", &[("Content-Encoding", "br")], &body).unwrap();
    assert_eq!(other.status, 415, "{other:?}");
}

#[test]
fn clocks_are_refused_where_the_daemon_appends_them() {
    let gateway = FileGateway::start("", "");
    let clock = format!(r#"{{"type":"clock","now":{}}}"#, now_s() * 1000);
    // Nothing has fixed the clock of the file yet: it will be the daemon's.
    let answer = gateway.post("/v1/events", &[], &clock);
    assert_eq!((answer.status, gateway.entries()), (400, 0), "{answer:?}");
    assert!(answer.body.contains("wall"), "{answer:?}");
}

#[test]
fn geofences_are_features() {
    let gateway = FileGateway::start("", "");
    let collection = format!(r#"{{"type":"FeatureCollection","features":[{YARD},{YARD},{{"type":"Feature"}}]}}"#);
    let answer = gateway.post("/v1/geofences", &[], &collection);
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &1.into()), "{answer:?}");
    assert_eq!(answer.json()["refused"][0]["reason"], "duplicate_id", "{answer:?}");
    assert_eq!(answer.json()["refused"].as_array().unwrap().len(), 2, "{answer:?}");
    assert_eq!(gateway.post("/v1/geofences", &[], "{}").status, 400);
}

#[test]
fn an_unknown_address_method_or_source_is_refused() {
    let gateway = FileGateway::start("", "");
    assert_eq!(gateway.request("GET", "/", &[], "").status, 404);
    assert_eq!(gateway.request("GET", "/in/nonsense", &[], "").status, 404);
    assert_eq!(gateway.request("PUT", "/in/osmand", &[], "").status, 405);
    assert_eq!(gateway.request("GET", "/in/traccar", &[], "").status, 405);
    assert_eq!(gateway.request("GET", "/v1/events", &[], "").status, 405);
    assert_eq!(gateway.request("OPTIONS", "/v1/events", &[("Origin", "http://a")], "").status, 405, "no CORS");
    let description = gateway.request("GET", "/openapi.json", &[], "");
    assert!(description.json()["paths"]["/v1/events"]["post"].is_object());
    let schema = gateway.request("GET", "/schemas/alert.json", &[], "");
    assert_eq!((schema.status, &schema.json()["properties"]["data"]["required"][0]), (200, &"subject".into()));
    assert_eq!(gateway.request("GET", "/healthz", &[], "").body, "ok\n");
}

#[test]
fn owntracks_is_answered_with_an_empty_list() {
    let gateway = FileGateway::start("", "");
    let body = format!(r#"{{"_type":"location","tid":"ad","lat":6.44,"lon":3.36,"tst":{}}}"#, now_s());
    let headers = [("Content-Type", "application/json"), ("X-Limit-U", "ade"), ("X-Limit-D", "phone")];
    let answer = gateway.post("/in/owntracks", &headers, &body);
    assert_eq!((answer.status, answer.body.as_str(), gateway.entries()), (200, "[]", 1), "{answer:?}");
}

#[test]
fn no_body_of_any_format_is_a_fault_of_ours() {
    let gateway = FileGateway::start("", "");
    let mut rng = Rng::new(number("WATCHTOWER_SEED").unwrap_or(7));
    let samples = [
        position("T1"),
        YARD.to_owned(),
        format!(r#"{{"_type":"location","tid":"ad","lat":6.44,"lon":3.36,"tst":{}}}"#, now_s()),
        "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n".to_owned(),
        "!AIVDM,1,1,,B,15M67FC000G?ufbE`FepT@3n00Sa,0*5C\r\n".to_owned(),
        osmand("", "T1")[1..].to_owned(),
    ];
    for format in Format::ALL {
        for _ in 0..30 {
            let mut body = rng.pick(&samples).clone().into_bytes();
            for _ in 0..rng.below(4) {
                let at = rng.below(body.len());
                match rng.below(3) {
                    0 => body[at] = rng.below(256) as u8,
                    1 => body.truncate(at.max(1)),
                    _ => body.insert(at, *rng.pick(b"{}[],:\"0\n")),
                }
            }
            let path = format!("/in/{}", format.name());
            let answer = try_request(gateway.port, "POST", &path, &[], &body).unwrap();
            let text = String::from_utf8_lossy(&body);
            assert!(answer.status == 200 || (400..500).contains(&answer.status), "{path} {text:?}: {answer:?}");
        }
    }
}
