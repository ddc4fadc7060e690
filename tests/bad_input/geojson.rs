//! Documents of geofences.

use serde_json::{Value, json};
use watchtower_core::events::{Event, Limits, Reason};
use watchtower_inputs::{FileFormat, GeoJson, Source};

use super::{FINE, file, outcomes, read, real_data, reasons};

use Reason::{DuplicateId, Geometry, InvalidUtf8, Malformed, MissingField};

/// What the 74 cases of github.com/chrieke/geojson-invalid-geometry become, once each feature has
/// an id, each Point a radius and each bare geometry a feature around it.
///
/// Whatever its document says, a geofence is an area: valid lines and points are refused too, and
/// of collections the areas count. Winding, repeated vertices and altitudes are no faults, and a polygon that crosses
/// the antimeridian uncut is the wide one that its coordinates say.
const CASES: [(&str, &[Option<Reason>]); 74] = [
    ("invalid_exterior_not_ccw", &[FINE]),
    ("invalid_incorrect_geometry_data_type", &[Some(Geometry)]),
    ("invalid_interior_not_cw", &[FINE]),
    ("invalid_less_three_unique_nodes", &[Some(Geometry)]),
    ("invalid_unclosed", &[Some(Geometry)]),
    ("invalid_feature_geometry_is_string", &[Some(Geometry)]),
    ("invalid_feature_id_type", &[Some(Malformed)]),
    ("invalid_feature_no_properties", &[Some(MissingField)]),
    ("invalid_feature_properties_is_array", &[Some(Malformed)]),
    ("invalid_feature_properties_is_int", &[Some(Malformed)]),
    ("invalid_feature_wrong_geometry_key", &[Some(MissingField)]),
    ("invalid_featurecollection_feature_nullfeature", &[Some(Malformed)]),
    ("invalid_featurecollection_features_is_object", &[Some(Malformed)]),
    ("invalid_featurecollection_no_features_member", &[Some(Malformed)]),
    ("invalid_featurecollection_nulltype", &[Some(Malformed)]),
    ("invalid_featurecollection_type_lowercase", &[Some(Malformed)]),
    ("invalid_featurecollection_unknown_type", &[Some(Malformed)]),
    ("invalid_geometry_bbox_not4or6", &[Some(Geometry)]),
    ("invalid_geometry_bbox_not_list", &[Some(Geometry)]),
    ("invalid_geometry_bbox_not_numbers", &[Some(Geometry)]),
    ("invalid_geometry_coordinates_1d", &[Some(Geometry)]),
    ("invalid_geometry_coordinates_empty_position", &[Some(Geometry)]),
    ("invalid_geometry_coordinates_missing", &[Some(Geometry)]),
    ("invalid_geometry_coordinates_string", &[Some(Geometry)]),
    ("invalid_geometry_depth_deep_point", &[Some(Geometry)]),
    ("invalid_geometry_depth_deep_polygon", &[Some(Geometry)]),
    ("invalid_geometry_depth_shallow_linestring", &[Some(Geometry)]),
    ("invalid_geometry_depth_shallow_multipolygon", &[Some(Geometry)]),
    ("invalid_geometry_depth_shallow_polygon", &[Some(Geometry)]),
    ("invalid_geometry_geometrycollection_null_geometry", &[Some(Geometry)]),
    ("invalid_geometry_mislabeled_point", &[Some(Geometry)]),
    ("invalid_geometry_missing_type", &[Some(Geometry)]),
    ("invalid_geometry_wrong_geometry_type", &[Some(Geometry)]),
    ("problematic_3d_coordinates", &[FINE]),
    ("problematic_4d_coordinates", &[FINE]),
    ("problematic_crosses_antimeridian", &[FINE]),
    ("problematic_duplicate_nodes", &[FINE]),
    ("problematic_excessive_coordinate_precision", &[FINE]),
    ("problematic_excessive_vertices", &[FINE]),
    ("problematic_feature_null_geometry", &[Some(MissingField)]),
    ("problematic_holes", &[FINE]),
    ("problematic_inner_and_exterior_ring_intersect", &[Some(Geometry)]),
    ("problematic_multitype_geometry_with_just_one_geometry", &[FINE]),
    ("problematic_outside_lat_lon_boundaries", &[Some(Geometry)]),
    ("problematic_self_intersection_large", &[Some(Geometry)]),
    ("problematic_self_intersection_small", &[Some(Geometry)]),
    ("problematic_wrong_bbox_coordinate_order", &[FINE]),
    ("problematic_zero_length_linestring", &[Some(Geometry)]),
    ("problematic_crs_defined", &[Some(Geometry)]),
    ("problematic_geometry_not_wrapped", &[FINE]),
    ("problematic_geometrycollection_single", &[Some(Geometry)]),
    ("problematic_nested_geometrycollection", &[Some(Geometry)]),
    ("valid_feature", &[FINE]),
    ("valid_feature_null_geometry", &[Some(MissingField)]),
    ("valid_feature_null_properties", &[FINE]),
    ("valid_feature_with_bbox", &[Some(Geometry)]),
    ("valid_feature_with_id", &[FINE]),
    ("valid_feature_with_string_id", &[FINE]),
    ("valid_featurecollection", &[FINE]),
    ("valid_featurecollection_bboxes", &[FINE, FINE]),
    ("valid_featurecollection_empty_features", &[]),
    ("valid_featurecollection_multiple_feature_types", &[FINE, FINE, Some(Geometry), FINE]),
    ("valid_featurecollection_with_geometrycollection", &[FINE]),
    ("valid_geometry", &[FINE]),
    ("valid_geometry_3d_coordinates", &[FINE]),
    ("valid_geometry_bbox", &[FINE]),
    ("valid_geometry_geometrycollection", &[FINE]),
    ("valid_geometry_geometrycollection_empty_geometries", &[Some(Geometry)]),
    ("valid_geometry_linestring", &[Some(Geometry)]),
    ("valid_geometry_multilinestring", &[Some(Geometry)]),
    ("valid_geometry_multipoint", &[Some(Geometry)]),
    ("valid_geometry_multipolygon", &[FINE]),
    ("valid_geometry_point", &[FINE]),
    ("valid_geometry_polygon", &[FINE]),
];

/// The document with what only a geofence needs: ids and radii, and features around geometries.
fn completed(text: &str) -> String {
    let mut document: Value = serde_json::from_str(text).unwrap();
    let is_geometry = document.get("features").is_none()
        && !matches!(document["type"].as_str(), Some("Feature" | "FeatureCollection"));
    if is_geometry {
        document = json!({"type": "Feature", "properties": {}, "geometry": document});
    }
    let complete = |feature: &mut Value, number: usize| {
        let Some(feature) = feature.as_object_mut() else { return };
        feature.entry("id").or_insert_with(|| number.into());
        let is_point = feature.get("geometry").is_some_and(|geometry| geometry["type"] == "Point");
        if let (true, Some(properties)) = (is_point, feature.get_mut("properties").and_then(Value::as_object_mut)) {
            properties.insert("radius_m".to_owned(), 100.into());
        }
    };
    if document["type"] == "Feature" {
        complete(&mut document, 0);
    } else if let Some(features) = document.get_mut("features").and_then(Value::as_array_mut) {
        features.iter_mut().enumerate().for_each(|(number, feature)| complete(feature, number));
    }
    document.to_string()
}

#[test]
fn each_geojson_case_is_loaded_or_refused_for_its_reason() {
    let Some(path) = real_data("bad/geojson_cases_chrieke.jsonl") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let cases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), CASES.len());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case["file"].as_str().unwrap().trim_end_matches(".geojson");
        let (_, expected) = CASES.iter().find(|(listed, _)| *listed == name).unwrap_or_else(|| panic!("{name}"));
        let got = read(FileFormat::GeoJson, completed(case["text"].as_str().unwrap()));
        let got: Vec<_> = got.into_iter().map(|(_, reason)| reason).collect();
        if got != *expected {
            wrong.push(format!("{name}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn repeated_features_are_refused() {
    let Some(path) = real_data("bad/fences_duplicate_ids_nyc.geojson") else { return };
    let mut source = GeoJson::open(&path, &Limits::default()).unwrap();
    let again = Some(DuplicateId);
    assert_eq!(reasons(&mut source), [FINE, again, FINE, again, again]);
}

#[test]
fn geofences_that_are_invalid_as_published_are_refused() {
    let Some(path) = real_data("bad/fences_really_invalid.geojson.gz") else { return };
    let all = outcomes(&mut GeoJson::open(&path, &Limits::default()).unwrap());
    let accepted: Vec<_> = all.iter().filter(|(_, reason)| *reason != Some(Geometry)).collect();
    assert_eq!(all.len(), 220);
    // Russia and Fiji cross the antimeridian; the cut there also parts their rings where they touch themselves.
    assert_eq!(accepted, [&(55, None), &(56, None)]);
}

#[test]
fn features_say_what_events_say() {
    let square = json!({"type": "Polygon", "coordinates": [[[3, 6], [4, 6], [4, 7], [3, 6]]]});
    let properties = json!({
        "id": 7.0, "name": "Ibeshe", "kind": "terminal", "anchor": false, "tags": "port, east", "min_dwell_s": 0.25,
        "exit_buffer_m": 25, "speed_limit_kmh": 20, "valid_from": "2026-11-01T00:00:00Z", "area": 3, "type": "any",
    });
    let document = json!({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": properties, "geometry": square},
        {"type": "Feature", "id": "7", "properties": {"valid_from": 1_793_491_200_000_i64, "deleted": true}, "geometry": null},
        {"type": "Feature", "id": "7", "properties": {"deleted": true}, "geometry": null},
        {"type": "Feature", "id": "8", "properties": {"exit_buffer_m": 5000.1}, "geometry": square},
        {"type": "Feature", "properties": {}, "geometry": square},
    ]});
    let folder = tempfile::tempdir().unwrap();
    let mut source = GeoJson::open(&file(&folder, document.to_string()), &Limits::default()).unwrap();
    let first = source.next_record().unwrap().unwrap().result.unwrap().into_owned();
    let Event::Geofence(change) = first else { panic!("{first:?}") };
    assert_eq!((&*change.geofence_id, change.valid_from), ("7", Some(1_793_491_200_000)));
    let geofence = change.definition.unwrap().geofence;
    assert_eq!((geofence.min_dwell_ms, geofence.exit_buffer_m, geofence.anchor), (250, 25.0, Some(false)));
    assert_eq!(geofence.tags, ["port", "east"]);
    assert_eq!(
        reasons(&mut source),
        [Some(DuplicateId), FINE, Some(Geometry), FINE],
        "the last is called after its place"
    );
}

#[test]
fn a_document_that_is_no_geojson_is_one_refused_record() {
    for (document, reason) in [
        (b"{\"type\":\n oops".as_slice(), Malformed),
        (b"[]", Malformed),
        (b"{\"type\":\"Polygon\",\"coordinates\":[]}", Geometry),
        (b"{\"type\":\"Feature\xff\"}", InvalidUtf8),
    ] {
        assert_eq!(read(FileFormat::GeoJson, document), [(1, Some(reason))], "{}", document.escape_ascii());
    }
    let folder = tempfile::tempdir().unwrap();
    for table in ["", "vehicle_id,ts,lon,lat"] {
        let fault = watchtower_inputs::open(&file(&folder, table), FileFormat::GeoJson, &Limits::default());
        assert!(fault.err().unwrap().to_string().contains("wkt"), "{table}");
    }
    let path = file(&folder, "{\"type\":\n oops");
    let mut source = GeoJson::open(&path, &Limits::default()).unwrap();
    let detail = source.next_record().unwrap().unwrap().result.unwrap_err().detail;
    assert!(detail.contains("line 2 column"), "{detail}");
}
