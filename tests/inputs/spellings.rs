//! Documents and properties as programs and people write them, which are not quite what a format says.

use watchtower_core::events::Limits;
use watchtower_inputs::{FileFormat, FileReport, inspect, open_with};

use super::field::reading;
use super::forms::{file, read};

use FileFormat::{Csv, GeoJson};

const SQUARE: &str = "[[[3.4,6.5],[3.41,6.5],[3.41,6.51],[3.4,6.51],[3.4,6.5]]]";

fn feature(properties: &str, geometry: &str) -> String {
    format!(r#"{{"type":"Feature","properties":{properties},"geometry":{geometry}}}"#)
}

fn polygon(properties: &str) -> String {
    feature(properties, &format!(r#"{{"type":"Polygon","coordinates":{SQUARE}}}"#))
}

fn collection(features: &[String]) -> String {
    format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(","))
}

/// The summary of a file of geofences.
pub fn summary(name: &str, content: impl AsRef<[u8]>) -> String {
    let (_folder, path) = file(name, content);
    let mut source = open_with(&path, GeoJson, &reading(""), &Limits::default()).unwrap();
    let mut report = FileReport::new(&path, GeoJson);
    while let Some(record) = source.next_record().unwrap() {
        report.count(&record);
    }
    report.finish(source.as_ref());
    report.to_string()
}

#[test]
fn documents_that_are_nearly_a_feature_collection() {
    let two = format!("[{},{}]", polygon(r#"{"name":"a"}"#), polygon(r#"{"name":"b"}"#));
    assert_eq!(read("two.json", GeoJson, "", two), ["a: 5 vertices", "b: 5 vertices"]);
    let alone = format!(r#"{{"coordinates":{SQUARE},"type":"Polygon"}}"#);
    assert_eq!(read("alone.geojson", GeoJson, "", alone), ["alone-1: 5 vertices"]);
    let latin1 = collection(&[polygon(r#"{"name":"K@ln"}"#)]).replace('@', "\u{1}").into_bytes();
    let latin1: Vec<u8> = latin1.into_iter().map(|byte| if byte == 1 { 0xf6 } else { byte }).collect();
    assert_eq!(read("latin1.geojson", GeoJson, "", &latin1), ["Köln: 5 vertices"]);
    assert!(summary("latin1.geojson", &latin1).contains("Windows-1252"));
}

#[test]
fn circles_as_columns() {
    let csv = "name;lat;lng;Radius (m)\nA;6,5;3,4;200\nB;6,6;3,5;0\nC;x;3,5;10\n";
    let found = read("circles.csv", GeoJson, "", csv);
    assert_eq!(found[0], "A: circle 200");
    assert!(found[1].starts_with("geometry") && found[2].starts_with("geometry"), "{found:?}");
}

#[test]
fn a_radius_has_many_names() {
    let point = |properties: &str| feature(properties, r#"{"type":"Point","coordinates":[3.4,6.5]}"#);
    for (properties, expected) in [
        (r#"{"id":"a","radius":150}"#, "a: circle 150"),
        (r#"{"id":"a","Radius":"150 m"}"#, "a: circle 150"),
        (r#"{"id":"a","RADIUS_M":"0,5 km"}"#, "a: circle 500"),
        (r#"{"id":"a","Radius (m)":200}"#, "a: circle 200"),
        (r#"{"id":"a","radiusM":200}"#, "a: circle 200"),
        (r#"{"id":"a","radius":"big"}"#, "malformed"),
        (r#"{"id":"a"}"#, "geometry"),
    ] {
        let found = read("circle.geojson", GeoJson, "", point(properties));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{properties}: {found:?}");
    }
}

#[test]
fn what_is_misspelt_is_named_with_the_nearest_known() {
    let text = summary(
        "odd.geojson",
        collection(&[
            polygon(r#"{"name":"a","min_dwel_s":300,"kind":"DEPOT"}"#),
            polygon(r#"{"name":"b","minDwell":300,"kind":"terminals"}"#),
            polygon(r#"{"name":"c","Speed Limit":30,"kind":"warehouse"}"#),
            polygon(r#"{"name":"d","kind":"warehouse","anchor":true}"#),
            polygon(r#"{"name":"e","Min Dwell S":60,"exit-buffer-m":"25 m"}"#),
        ]),
    );
    for line in [
        "min_dwel_s: a property that is not known; is it, once, at 1 (min_dwell_s)",
        "DEPOT: a kind in capitals, read as, once, at 1 (depot)",
        "minDwell: a property that is not known; is it, once, at 2 (min_dwell_s)",
        "terminals: no kind that trips go by; is it, once, at 2 (terminal)",
        "Speed Limit: a property that is not known; is it, once, at 3 (speed_limit_kmh)",
        "warehouse: a kind of its own: trips go by terminal, client and depot, and by anchor = true, once, at 3",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    assert!(!text.contains("Min Dwell S") && !text.contains("exit-buffer-m"), "{text}");
}

#[test]
fn positions_in_a_member_of_one_line() {
    let json = r#"{"status":"ok","data":[{"imei":7,"time":"2026-11-20T06:00:01Z","lat":6.5,"lon":3.36}]}"#;
    assert_eq!(read("answer.json", Csv, "", json), ["7 261120 21601.000 3.36 6.5"]);
    // An event that has such a member is an event.
    let line = r#"{"imei":7,"time":"2026-11-20T06:00:01Z","lat":6.5,"lon":3.36,"data":[1]}"#;
    assert!(read("line.ndjson", Csv, "", format!("{line}\n{line}\n"))[1].starts_with("7 261120 21601.000 3.36 6.5"));
}

#[test]
fn an_array_with_an_object_on_each_line_is_an_array() {
    let row = |minute: i32| format!(r#"{{"imei":7,"time":"2026-11-20T06:0{minute}:00Z","lat":6.5,"lon":3.36}}"#);
    let array = format!("[\n{},\n{},\n{}\n]\n", row(1), row(2), row(3));
    let found = read("rows.json", Csv, "", &array);
    assert!(found.len() == 3 && found.iter().all(|row| row.starts_with("7 261120")), "{found:?}");
    // A second array behind the first is not passed over.
    let found = read("rows.json", Csv, "", array.repeat(2));
    assert!(found.len() == 4 && found[3].starts_with("malformed the array has ended, and more follows"), "{found:?}");
    // Lines are lines, even where the first is an array.
    let found = read("rows.json", Csv, "", format!("[1]\n{}\n", row(1)));
    assert!(found.len() == 2 && found[0].starts_with("malformed") && found[1].starts_with("7 261120"), "{found:?}");
}

/// As `ogr2ogr -f GeoJSON` and others write few features: the last one is the only line that is an object.
#[test]
fn a_collection_with_a_feature_on_each_line_is_a_collection() {
    let feature = |minute: u32| {
        format!(
            r#"{{ "type": "Feature", "properties": {{ "imei": 7, "time": "2026-11-20T06:0{minute}:00Z" }}, "geometry": {{ "type": "Point", "coordinates": [ 3.3, 6.5 ] }} }}"#
        )
    };
    let features = format!("{},\n{}\n", feature(1), feature(2));
    for head in [
        "{\n\"type\": \"FeatureCollection\",\n\"name\": \"track_points\",\n\"features\": [\n",
        "{\"type\":\"FeatureCollection\",\"features\":[\n",
        "{ \"type\": \"FeatureCollection\",\n  \"features\": [\n",
    ] {
        let found = read("points.geojson", Csv, "", format!("{head}{features}]\n}}\n"));
        assert_eq!(found.len(), 2, "{head}: {found:?}");
    }
    // A first line that is cut off costs itself.
    let found = read("rows.ndjson", Csv, "", format!("{{\"imei\": 7, \"time\":\n{}\n{}\n", feature(1), feature(2)));
    assert!(found.len() == 3 && found[0].starts_with("malformed"), "{found:?}");
}

#[test]
fn an_array_that_is_cut_off_is_read_as_far_as_it_goes() {
    let item =
        |minute: u8| format!(r#"{{"imei":7,"time":"2026-11-20T06:0{minute}:01Z","lat":6.5,"lon":3.36,"s":"],"}}"#);
    let whole = format!("[{},\n{},7]", item(0), item(1));
    let found = read("whole.json", Csv, "", &whole);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[1].starts_with("7 261120 21661.000") && found[2].starts_with("malformed"), "{found:?}");
    let cut = read("cut.json", Csv, "", &whole[..whole.len() - 20]);
    assert!(cut.len() == 2 && cut[0].starts_with("7 261120") && cut[1].contains("ends within an array"), "{cut:?}");
}

#[test]
fn documents_of_tracks_need_not_be_held() {
    // Latin-1 in a comment, and points enough for many chunks.
    let point = |second: u32| {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("<trkpt lat=\"6.5\" lon=\"3.36\"><time>2026-11-20T{hour:02}:{minute:02}:{second:02}Z</time></trkpt>\n")
    };
    let points: String = (0..9_000).map(point).collect();
    let gpx = [b"<gpx><!-- Stra\xdfe --><trk>".as_slice(), points.as_bytes(), b"</trk></gpx>"].concat();
    let found = read("long.gpx", Csv, "", gpx);
    assert_eq!(found.len(), 9_000);
    assert_eq!(found[8_999], "long 261120 8999.000 3.36 6.5");
}

#[test]
fn a_time_that_lost_its_zero_in_a_spreadsheet() {
    let csv = "id,DATE,TIME,LATITUDE N/S,LONGITUDE E/W\nT1,20261120,60101,6.5S,3.36W\nT1,20261120,160101,6.5N,3.36E\n";
    let found = read("columbus.csv", Csv, "zone:UTC", csv);
    assert_eq!(found, ["T1 261120 21661.000 -3.36 -6.5", "T1 261120 57661.000 3.36 6.5"]);
}

#[test]
fn a_part_of_a_shapefile_names_the_whole() {
    for name in ["depots.dbf", "depots.shx", "depots.prj"] {
        let found = read(name, GeoJson, "", "GEOGCS[...]");
        assert!(found[0].contains("ogr2ogr -t_srs EPSG:4326 geofences.geojson depots.shp"), "{found:?}");
    }
}

#[test]
fn a_map_shows_circles_and_the_antimeridian_in_one_piece() {
    let circle = r#"{"type":"Feature","id":"a","properties":{"radius_m":500},"geometry":{"type":"Point","coordinates":[3.4,6.5]}}"#;
    let (_folder, path) = file("circle.geojson", circle);
    let found = inspect(&path, &reading(""), &Limits::default()).unwrap();
    assert_eq!(found.outlines[0].len(), 48);
    assert!(found.to_svg().contains(">200 m</text>"), "{}", found.to_svg());
    let row = |minute: i32, lon: f64| format!("a,2026-11-20T06:{minute:02}:00Z,{lon},-16.85\n");
    let rows = [row(0, 179.99), row(1, -179.99), row(2, -179.98)].concat();
    let (_folder, path) = file("fiji.csv", format!("vehicle_id,ts,lon,lat\n{rows}"));
    let found = inspect(&path, &reading(""), &Limits::default()).unwrap();
    assert!(found.to_svg().contains("179.9900 to 180.0200 E"), "{}", found.to_svg());
    assert_eq!(found.hours, [(498_654, 3)]);
}

#[test]
fn rows_of_another_decade_are_pointed_out() {
    let row = |day: i32| format!("a,2026-11-{day:02}T06:00:00Z,3.4,6.5\n");
    let rows: String = (1..=18).map(row).collect();
    let (_folder, path) = file(
        "rollover.csv",
        format!("vehicle_id,ts,lon,lat\n{rows}a,2007-04-06T06:00:00Z,3.4,6.5\na,2007-04-06T06:01:00Z,3.4,6.5\n"),
    );
    let found = inspect(&path, &reading(""), &Limits::default()).unwrap();
    assert_eq!(found.isolated, 2);
    assert!(found.to_string().contains("2 rows on days far from those of nearly all others"), "{found}");
}
