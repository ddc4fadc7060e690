//! Edits of single geofences and vehicles, with the versions that their authors have seen.

use super::support::{FileGateway, YARD};

#[test]
fn an_edit_is_an_event_of_the_control_stream() {
    let gateway = FileGateway::start("", "");
    let put = |path: &str, body: &str| gateway.request("PUT", path, &[], body).status;
    assert_eq!(put("/v1/geofences/yard", YARD), 200);
    assert_eq!(put("/v1/geofences/other", YARD), 400, "another identifier in the body");
    let circle = r#"{"kind":"depot","radius_m":150,"geometry":{"type":"Point","coordinates":[3.36,6.44]}}"#;
    assert_eq!(put("/v1/geofences/pump", circle), 200);
    assert_eq!(put("/v1/geofences/bad", r#"{"geometry":{"type":"Polygon","coordinates":[]}}"#), 422);
    assert_eq!(put("/v1/vehicles/T1", r#"{"name":"MACK 40FT","fleet":"VPC"}"#), 200);
    assert_eq!(put("/v1/vehicles/T1", "[]"), 400);
    assert_eq!(gateway.request("DELETE", "/v1/geofences/yard", &[], "").status, 200);
    let dated = "/v1/geofences/yard?valid_from=2026-11-01T00:00:00Z";
    assert_eq!(gateway.request("DELETE", dated, &[], "").status, 200);
    assert_eq!(gateway.request("DELETE", "/v1/geofences/yard?valid_from=yesterday", &[], "").status, 400);
    let entries = "SELECT entries FROM streams WHERE name = 'control'";
    assert_eq!(gateway.one.number(entries), Some(6), "five that are accepted, one that is refused");
}

#[test]
fn an_edit_of_another_version_is_refused_with_the_current_one() {
    let gateway = FileGateway::start("", "");
    let put = |headers: &[(&str, &str)]| gateway.request("PUT", "/v1/geofences/yard", headers, YARD);
    assert_eq!(put(&[("If-Match", "*")]).status, 412, "there is none yet");
    assert_eq!(put(&[("If-None-Match", "*")]).status, 200);
    // The version is that of the tables: a daemon computes them.
    let daemon = gateway.one.spawn(&[], &[]);
    daemon.wait_until_ready();
    gateway.one.wait_for_entries(1);
    let refused = put(&[("If-Match", "\"other\"")]);
    assert_eq!(refused.status, 412);
    let version = refused.headers["etag"].clone();
    assert_eq!(put(&[("If-None-Match", "*")]).status, 412);
    assert_eq!(put(&[("If-Match", &version)]).status, 200);
    gateway.one.wait_for_entries(2);
    let later = put(&[("If-Match", &version)]);
    assert_eq!(later.status, 412, "it was changed meanwhile");
    assert_ne!(later.headers["etag"], version);
}
