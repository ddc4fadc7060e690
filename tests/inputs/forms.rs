//! Formats of which the field has no sample: GPX, KML, NMEA, WKT, lines with a width.

use std::io::Write;
use std::path::PathBuf;

use watchtower_core::events::Limits;
use watchtower_inputs::{FileFormat, inspect, open_vehicles, open_with};

use super::field::{outcomes, reading};

use FileFormat::{Csv, GeoJson};

/// A file of this name and content, and its folder, which has to live as long.
pub fn file(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// What becomes of the records of a file of this name and content.
pub fn read(name: &str, format: FileFormat, words: &str, content: impl AsRef<[u8]>) -> Vec<String> {
    let (_folder, path) = file(name, content);
    outcomes(&path, format, &reading(words))
}

/// A track, and a waypoint, with speeds of Garmin.
pub const GPX: &str = r#"<?xml version="1.0"?>
<gpx version="1.1" xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
<wpt lat="6.4" lon="3.3"><name>Home &amp; yard</name></wpt>
<trk><name>Monday</name><trkseg>
<trkpt lat="6.5" lon="3.36"><ele>12.5</ele><time>2026-11-20T06:00:01Z</time>
<extensions><gpxtpx:TrackPointExtension><gpxtpx:speed>10</gpxtpx:speed><gpxtpx:course>90</gpxtpx:course></gpxtpx:TrackPointExtension></extensions></trkpt>
<trkpt lat="6.5" lon="3.361"><time>2026-11-20T06:01:01Z</time></trkpt>
<trkpt lat="6.5" lon="3.362"/>
</trkseg></trk></gpx>"#;

#[test]
fn gpx_tracks_are_positions_in_metres_per_second() {
    let found = read("truck-7.gpx", Csv, "", GPX);
    assert_eq!(
        found,
        [
            "truck-7 261120 21601.000 3.36 6.5 v36 h90",
            "truck-7 261120 21661.000 3.361 6.5",
            "missing_field ts is missing",
        ]
    );
    let cut = read("truck-7.gpx", Csv, "vehicle:V", &GPX[..GPX.len() - 60]);
    assert!(cut[0].starts_with("V 261120") && cut.last().unwrap().starts_with("malformed"), "{cut:?}");
}

/// A polygon, a track, and a point with a time.
pub const KML: &str = r#"<kml xmlns:gx="http://www.google.com/kml/ext/2.2"><Document><Folder>
<Placemark><name>Yard</name><ExtendedData><Data name="kind"><value>Depot</value></Data></ExtendedData>
<Polygon><outerBoundaryIs><LinearRing><coordinates>
3.355,6.495,0 3.365,6.495,0 3.365,6.505,0 3.355,6.505,0 3.355,6.495,0</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>
<Placemark><name>Truck 7</name><gx:Track><when>2026-11-20T06:00:01Z</when><when>2026-11-20T06:01:01Z</when>
<gx:coord>3.36 6.5 0</gx:coord><gx:coord>3.361 6.5 0</gx:coord></gx:Track></Placemark>
<Placemark><TimeStamp><when>2026-11-20T06:02:01Z</when></TimeStamp><Point><coordinates>3.362,6.5</coordinates></Point></Placemark>
</Folder></Document></kml>"#;

#[test]
fn kml_has_positions_and_geofences() {
    let positions = read("day.kml", Csv, "", KML);
    assert_eq!(
        positions,
        ["Truck 7 261120 21601.000 3.36 6.5", "Truck 7 261120 21661.000 3.361 6.5", "day 261120 21721.000 3.362 6.5",]
    );
    let geofences = read("day.kml", GeoJson, "", KML);
    assert_eq!(geofences[0], "Yard depot: 5 vertices");
    assert!(geofences[1].starts_with("missing_field") && geofences[2].starts_with("geometry"), "{geofences:?}");
}

/// An archive with one deflated file.
fn zipped(name: &str, content: &[u8]) -> Vec<u8> {
    let fields = |fields: &[u16]| fields.iter().flat_map(|field| field.to_le_bytes()).collect::<Vec<u8>>();
    let (size, length) = ([content.len() as u16, 0], name.len() as u16);
    // Version, flags, method, time, date, checksum, both sizes, lengths of the name and of what follows it.
    let common = [fields(&[20, 0, 8, 0, 0, 0, 0]), fields(&size), fields(&size), fields(&[length, 0])].concat();
    let local = [b"PK\x03\x04".as_slice(), &common, name.as_bytes(), content].concat();
    let entry = [b"PK\x01\x02".as_slice(), &fields(&[20]), &common, &fields(&[0; 7]), name.as_bytes()].concat();
    let sizes = fields(&[entry.len() as u16, 0, local.len() as u16, 0, 0]);
    let end = [b"PK\x05\x06".as_slice(), &fields(&[0, 0, 1, 1]), &sizes].concat();
    [local, entry, end].concat()
}

#[test]
fn kmz_is_kml_in_a_zip() {
    let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(KML.as_bytes()).unwrap();
    let found = read("day.kmz", GeoJson, "", zipped("doc.kml", &writer.finish().unwrap()));
    assert_eq!(found[0], "Yard depot: 5 vertices");
    let broken = read("day.kmz", GeoJson, "", b"PK\x03\x04 no zip");
    assert!(broken[0].starts_with("error: ") && broken[0].contains("zip"), "{broken:?}");
}

/// A sentence with its checksum.
fn sentence(body: &str) -> String {
    format!("${body}*{:02X}\r\n", body.bytes().fold(0, |sum, byte| sum ^ byte))
}

#[test]
fn nmea_takes_fixes_and_leaves_void_ones() {
    let log = [
        sentence("GPRMC,060000.00,V,,,,,,,201126,,,N"),
        sentence("GPGGA,060001.00,0630.0000,N,00321.6000,E,1,08,0.9,41.5,M,,M,,"),
        sentence("GPRMC,060001.00,A,0630.0000,N,00321.6000,E,22.13,90.0,201126,,,A"),
        sentence("GNGGA,060101.00,0630.0000,N,00321.6600,E,0,00,,,M,,M,,"),
        "$GPRMC,060201.00,A,0630.0000,S,00321.6000,W,0.0,,201126,,,A*00\r\n".to_owned(),
        sentence("GPRMC,060301.00,A,0630.0000,S,00321.6000,W,0.0,,201126,,,A"),
        sentence("GPRMC,060401.00,A,0630.0000,N,00321.6000,E,0.0,,050407,,,A"),
        sentence("GPRMC,060401.00,A,0630.0000,N,00321.6000,E,0.0,,050480,,,A"),
    ];
    let found = read("T9.nmea", Csv, "", log.concat());
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found[0], "T9 261120 21601.000 3.36 6.5 v40.9848 h90");
    assert!(found[1].starts_with("malformed") && found[1].contains("checksum"), "{}", found[1]);
    assert_eq!(found[2], "T9 261120 21781.000 -3.36 -6.5 v0");
    // A receiver that lost 1 024 weeks stays in its decade, and 80 is not 2080.
    assert!(found[3].starts_with("T9 070405"), "{}", found[3]);
    assert!(found[4].starts_with("time_range") || found[4].starts_with("T9 800405"), "{}", found[4]);
}

#[test]
fn geofences_as_wkt_in_a_column() {
    let csv = "id;name;kind;wkt\n\
        a;Yard;depot;POLYGON ((3.355 6.495, 3.365 6.495, 3.365 6.505, 3.355 6.505, 3.355 6.495))\n\
        b;Gate;;SRID=4326;\n\
        c;Gate;;POINT (3.36 6.5)\n\
        d;Far;;nonsense\n";
    let found = read("fences.csv", GeoJson, "", csv);
    assert_eq!(found[0], "a depot: 5 vertices");
    assert!(
        found[1..].iter().all(|outcome| outcome.starts_with("geometry") || outcome.starts_with("missing")),
        "{found:?}"
    );
    let circles = "id,radius_m,geom\np,150,POINT (3.36 6.5)\n";
    assert_eq!(read("fences.csv", GeoJson, "", circles), ["p: circle 150"]);
    assert!(read("fences.csv", GeoJson, "", "a,b\n1,2\n")[0].contains("wkt"));
}

#[test]
fn lines_with_a_width_are_corridors() {
    let feature = r#"{"type":"Feature","id":"road","properties":{"buffer_m":100},"geometry":
        {"type":"LineString","coordinates":[[3.36,6.5],[3.37,6.5],[3.37,6.51]]}}"#;
    let (_folder, path) = file("road.geojson", feature);
    let limits = Limits::default();
    let mut source = open_with(&path, GeoJson, &reading(""), &limits).unwrap();
    let record = source.next_record().unwrap().unwrap();
    let watchtower_core::events::Event::Geofence(change) = record.result.unwrap() else { panic!() };
    let shape = change.definition.unwrap().geofence.shape.clone();
    for (lon, lat, inside) in [
        (3.365, 6.5, true),
        (3.365, 6.5008, true),
        (3.365, 6.501, false),
        (3.3708, 6.5, true),
        (3.371, 6.5, false),
        (3.3693, 6.505, true),
        (3.3593, 6.5, true),
        (3.36, 6.51, false),
    ] {
        assert_eq!(shape.covers(watchtower_model::Place::from_degrees(lon, lat)), inside, "{lon} {lat}");
    }
}

#[test]
fn names_that_are_there_twice_are_no_ids() {
    let feature = |name: &str| {
        format!(
            r#"{{"type":"Feature","properties":{{"name":"{name}","radius_m":50}},"geometry":{{"type":"Point","coordinates":[3.36,6.5]}}}}"#
        )
    };
    let document = format!(
        r#"{{"type":"FeatureCollection","features":[{},{},{}]}}"#,
        feature("Gate"),
        feature("Gate"),
        feature("Yard")
    );
    let found = read("gates.geojson", GeoJson, "", &document);
    assert_eq!(found, ["gates-1: circle 50", "gates-2: circle 50", "Yard: circle 50"]);
    let by_property = read("gates.geojson", GeoJson, "id:name", &document);
    assert_eq!(by_property[0], "Gate: circle 50");
    assert!(by_property[1].starts_with("duplicate_id"), "{by_property:?}");
}

#[test]
fn other_systems_of_coordinates_are_refused_by_name() {
    let document = r#"{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::25833"}},"features":[]}"#;
    let found = read("de.geojson", GeoJson, "", document);
    assert!(
        found[0].starts_with("geometry") && found[0].contains("25833") && found[0].contains("ogr2ogr"),
        "{found:?}"
    );
    for (name, content) in [("a.gpkg", b"SQLite format 3\0....".as_slice()), ("a.shp", &[0, 0, 0x27, 0x0a, 0, 0, 0, 0])]
    {
        let found = read(name, GeoJson, "", content);
        assert!(found[0].contains("ogr2ogr"), "{found:?}");
    }
}

#[test]
fn local_times_that_are_twice_or_never() {
    let csv = "vehicle_id,ts,lon,lat\n\
        a,2026-10-25 02:30:00,13.4,52.5\n\
        a,2026-03-29 02:30:00,13.4,52.5\n";
    let (_folder, path) = file("berlin.csv", csv);
    let limits = Limits::default();
    let mut source = open_with(&path, Csv, &reading("zone:Europe/Berlin"), &limits).unwrap();
    let mut times = Vec::new();
    while let Some(record) = source.next_record().unwrap() {
        let watchtower_core::events::Event::Position(report) = record.result.unwrap() else { panic!() };
        times.push(jiff::Timestamp::from_millisecond(report.ts).unwrap().to_string());
    }
    // The first of two passages; the skipped one as if the clock had not been changed yet.
    assert_eq!(times, ["2026-10-25T00:30:00Z", "2026-03-29T01:30:00Z"]);
    let remarks = source.notes().remarks;
    assert!(remarks.iter().any(|remark| remark.what.contains("twice")), "{remarks:?}");
    assert!(remarks.iter().any(|remark| remark.what.contains("skipped")), "{remarks:?}");
}

#[test]
fn the_order_of_day_and_month_is_the_file_s_or_given() {
    let csv = |second: &str| format!("id,time,lat,lon\na,03/04/2026 06:00Z,6.5,3.36\na,{second} 06:00Z,6.5,3.36\n");
    let decided = read("a.csv", Csv, "", csv("23/04/2026"));
    assert!(decided[0].starts_with("a 260403") && decided[1].starts_with("a 260423"), "{decided:?}");
    let open = read("a.csv", Csv, "", csv("05/04/2026"));
    assert!(open.iter().all(|outcome| outcome.contains("--date-order")), "{open:?}");
    let given = read("a.csv", Csv, "order:mdy", csv("05/04/2026"));
    assert!(given[0].starts_with("a 260304"), "{given:?}");
}

#[test]
fn vehicles_as_csv() {
    let (_folder, path) =
        file("v.csv", "id,name,fleet,speed_limit_kmh,colour\nT1,Mack,VPC,60 km/h,red\nT2,,,,\n,x,,,\nT3,,,fast,\n");
    let limits = Limits::default();
    let mut source = open_vehicles(&path, &reading(""), &limits).unwrap();
    let mut found = Vec::new();
    while let Some(record) = source.next_record().unwrap() {
        found.push(match record.result {
            Ok(watchtower_core::events::Event::Vehicle(change)) => {
                let vehicle = change.definition.unwrap();
                format!(
                    "{} {:?} {:?} {:?}",
                    change.vehicle_id,
                    vehicle.name,
                    vehicle.speed_limit.kmh(),
                    vehicle.attributes
                )
            }
            Ok(other) => panic!("{other:?}"),
            Err(rejection) => rejection.reason.to_string(),
        });
    }
    assert_eq!(
        found,
        [
            r#"T1 Some("Mack") Some(60.0) Some("{\"colour\":\"red\"}")"#,
            "T2 None None None",
            "missing_field",
            "malformed",
        ]
    );
}

#[test]
fn an_inspection_finds_what_looks_wrong() {
    let csv = "vehicle_id,ts,lon,lat\n\
        a,2026-11-20T06:00:00Z,3.36,6.5\n\
        a,2026-11-20T06:01:00Z,13.36,6.5\n\
        a,2026-11-20T06:01:00Z,13.36,6.5\n\
        a,2026-11-20T05:00:00Z,3.36,6.5\n\
        b,2026-11-20T06:00:00Z,0,0\n\
        b,2031-11-20T06:00:00Z,3.36,6.5\n";
    let (_folder, path) = file("odd.csv", csv);
    let found = inspect(&path, &reading(""), &Limits::default()).unwrap();
    let counts = [found.jumps, found.repeated, found.backward, found.zeros, found.future, found.gaps];
    assert_eq!(
        counts.map(|suspicion| (suspicion.count, suspicion.first)),
        [(1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 7)]
    );
    assert_eq!(found.vehicles, 2);
    let text = found.to_string();
    assert!(text.contains("6 positions") && text.contains("0, 0"), "{text}");
    let svg = found.to_svg();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
}
