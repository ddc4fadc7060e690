//! Geofences and vehicles out of databases: our own tables, hexadecimal WKB, GeoPackages.

use std::path::Path;

use watchtower_core::events::{Event, Limits};
use watchtower_inputs::{FileFormat, open_vehicles};

use super::field::{outcomes, reading};
use super::forms::{file, read};

use FileFormat::GeoJson;

/// A square of 0.01 degrees as PostGIS stores it, from its corner in the south-west.
fn ewkb(lon: f64, lat: f64) -> Vec<u8> {
    let ring = [(0.0, 0.0), (0.01, 0.0), (0.01, 0.01), (0.0, 0.01), (0.0, 0.0)];
    let mut bytes = vec![1];
    for number in [0x2000_0003u32, 4326, 1, 5] {
        bytes.extend(number.to_le_bytes());
    }
    for (east, north) in ring {
        bytes.extend((lon + east).to_le_bytes());
        bytes.extend((lat + north).to_le_bytes());
    }
    bytes
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Ids and `valid_from` of the geofences of a file; `-` for those that end.
fn versions(path: &Path) -> Vec<String> {
    let mut source = watchtower_inputs::open_with(path, GeoJson, &reading(""), &Limits::default()).unwrap();
    let mut found = Vec::new();
    while let Some(record) = source.next_record().unwrap() {
        let Ok(Event::Geofence(change)) = record.result else { panic!("{:?}", record.result) };
        let from = change.valid_from.map_or_else(
            || "always".to_owned(),
            |ms| jiff::Timestamp::from_millisecond(ms).unwrap().strftime("%m-%d").to_string(),
        );
        let end = if change.definition.is_none() { " -" } else { "" };
        found.push(format!("{} {from}{end}", change.geofence_id));
    }
    found
}

#[test]
fn our_own_table_comes_back_with_its_versions_and_ends() {
    let (square, circle) = (hexadecimal(&ewkb(3.4, 6.5)), "0101000020E6100000E17A14AE47E10A400000000000001A40");
    let csv = format!(
        "geofence_id,effective_from,effective_until,valid_from,name,kind,anchor,tags,min_dwell_s,radius_m,geometry\n\
         yard,-infinity,2026-11-20 00:00:00+00,-infinity,Yard,depot,t,\"{{a,\"\"b c\"\"}}\",300,,{square}\n\
         yard,2026-11-20 00:00:00+00,,2026-11-01 00:00:00+00,Yard 2,depot,t,{{}},300,,{square}\n\
         pump,2026-11-01 00:00:00+00,2026-11-10 00:00:00+00,2026-11-01 00:00:00+00,,,f,{{}},0,150,{circle}\n"
    );
    let (_folder, path) = file("geofences.csv", &csv);
    assert_eq!(
        outcomes(&path, GeoJson, &reading("")),
        ["yard depot: 5 vertices", "yard depot: 5 vertices", "pump: circle 150", "pump deleted"]
    );
    assert_eq!(versions(&path), ["yard always", "yard 11-20", "pump 11-01", "pump 11-10 -"]);
    let mut source = watchtower_inputs::open_with(&path, GeoJson, &reading(""), &Limits::default()).unwrap();
    let first = source.next_record().unwrap().unwrap();
    let Ok(Event::Geofence(change)) = first.result else { panic!() };
    assert_eq!(change.definition.unwrap().geofence.tags, ["a", "b c"]);
}

#[test]
fn binary_geometries_may_be_called_as_tools_call_them() {
    let square = hexadecimal(&ewkb(3.4, 6.5));
    for column in ["geometry", "geom", "wkb_geometry", "the_geom", "area", "WKB"] {
        let csv =
            format!("id;{column}\na;{square}\nb;{}\nc;{}\n", &square[..40], square.replacen("E6100000", "110F0000", 1));
        let found = read("db.csv", GeoJson, "", csv);
        assert_eq!(found[0], "a: 5 vertices", "{column}");
        assert!(found[1].starts_with("geometry") && found[1].contains("cut off"), "{found:?}");
        assert!(found[2].starts_with("geometry") && found[2].contains("SRID 3857"), "{found:?}");
    }
}

/// A GeoPackage with a layer in a spatial reference of EPSG, as other programs make them.
fn geopackage(path: &Path, epsg: u32, geometries: &[(&str, Vec<u8>)]) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let tables = format!(
        "CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER, organization TEXT, organization_coordsys_id INTEGER);
         CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, geometry_type_name TEXT, srs_id INTEGER);
         INSERT INTO gpkg_spatial_ref_sys VALUES ('it', {epsg}, 'EPSG', {epsg});
         INSERT INTO gpkg_geometry_columns VALUES ('depots \"old\"', 'geom', 'POLYGON', {epsg});
         CREATE TABLE \"depots \"\"old\"\"\" (fid INTEGER PRIMARY KEY, geom BLOB, name TEXT, kind TEXT, min_dwell_s INTEGER);"
    );
    connection.execute_batch(&tables).unwrap();
    for (name, wkb) in geometries {
        let blob = [b"GP\0\x01".as_slice(), &epsg.to_le_bytes(), wkb].concat();
        let row = "INSERT INTO \"depots \"\"old\"\"\" (geom, name, kind, min_dwell_s) VALUES (?1, ?2, 'Depot', 60)";
        connection.execute(row, rusqlite::params![blob, name]).unwrap();
    }
}

#[test]
fn geopackages_are_read_unless_their_coordinates_are_others() {
    let folder = tempfile::tempdir().unwrap();
    let (path, metres) = (folder.path().join("depots.gpkg"), folder.path().join("utm.gpkg"));
    geopackage(&path, 4326, &[("North", ewkb(3.4, 6.5)), ("South", ewkb(3.4, 6.4)), ("Nowhere", b"\x01\x03".to_vec())]);
    let found = outcomes(&path, GeoJson, &reading(""));
    assert_eq!(found[..2], ["North depot: 5 vertices", "South depot: 5 vertices"]);
    assert!(found[2].starts_with("geometry") && found[2].contains("cut off"), "{found:?}");
    geopackage(&metres, 32631, &[("North", ewkb(380_000.0, 723_000.0))]);
    let found = outcomes(&metres, GeoJson, &reading(""));
    assert!(found.len() == 1 && found[0].contains("EPSG:32631") && found[0].contains("ogr2ogr"), "{found:?}");
}

#[test]
fn our_own_vehicles_come_back() {
    let csv = "vehicle_id,effective_from,effective_until,valid_from,name,fleet,speed_limit_kmh,attributes,offline_after_s\n\
               T1,-infinity,2026-11-20 00:00:00+00,-infinity,Mack,VPC,60,\"{\"\"colour\"\":\"\"red\"\"}\",\n\
               T1,2026-11-20 00:00:00+00,,2026-11-20 00:00:00+00,Mack,VPC,80,,3600\n\
               T2,some day,,some day,,,,,\n";
    let (_folder, path) = file("vehicles.csv", csv);
    let limits = Limits::default();
    let mut source = open_vehicles(&path, &reading(""), &limits).unwrap();
    let mut found = Vec::new();
    while let Some(record) = source.next_record().unwrap() {
        found.push(match record.result {
            Ok(Event::Vehicle(change)) => {
                let vehicle = change.definition.unwrap();
                format!("{:?} {:?} {:?}", change.valid_from, vehicle.speed_limit.kmh(), vehicle.attributes)
            }
            Ok(other) => panic!("{other:?}"),
            Err(rejection) => rejection.to_string(),
        });
    }
    assert_eq!(found[0], r#"None Some(60.0) Some("{\"colour\":\"red\"}")"#);
    assert_eq!(found[1], "Some(1795132800000) Some(80.0) None");
    assert!(found[2].contains("valid_from") && found[2].contains("some day"), "{}", found[2]);
}
