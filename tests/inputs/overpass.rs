//! JSON of Overpass, in the shapes that its queries give.

use serde_json::{Value, json};
use watchtower_core::events::{Event, Limits};
use watchtower_inputs::{FileFormat, open_with};
use watchtower_model::Place;

use super::field::reading;
use super::forms::{file, read};
use super::spellings::summary;

use FileFormat::GeoJson;

/// Nodes 1 to 4 around a yard, 5 to 8 around a hole in it, 9 to 11 around another part, 12 a gate.
const NODES: [[f64; 2]; 12] = [
    [3.40, 6.50],
    [3.42, 6.50],
    [3.42, 6.52],
    [3.40, 6.52],
    [3.405, 6.505],
    [3.415, 6.505],
    [3.415, 6.515],
    [3.405, 6.515],
    [3.43, 6.50],
    [3.44, 6.50],
    [3.44, 6.51],
    [3.41, 6.50],
];
/// Ways by their nodes: 21 and 22 are halves of the border, 23 is the hole, 24 the other part.
const WAYS: [(i64, &[i64]); 6] = [
    (21, &[1, 2, 3]),
    (22, &[1, 4, 3]),
    (23, &[5, 6, 7, 8, 5]),
    (24, &[9, 10, 11, 9]),
    (25, &[1, 2, 3, 4, 1]),
    (26, &[1, 12]),
];

fn tags(way: i64) -> Value {
    match way {
        25 => json!({"name": "Yard", "landuse": "industrial", "kind": "depot"}),
        26 => json!({"highway": "service"}),
        _ => json!({}),
    }
}

fn members(geometry: impl Fn(&[i64]) -> Value) -> Value {
    let member = |way: i64, role: &str| {
        let nodes = WAYS.iter().find(|(id, _)| *id == way).unwrap().1;
        let mut member = json!({"type": "way", "ref": way, "role": role});
        let geometry = geometry(nodes);
        if !geometry.is_null() {
            member["geometry"] = geometry;
        }
        member
    };
    let gate = json!({"type": "node", "ref": 12, "role": "label", "lat": 6.5, "lon": 3.41});
    json!([member(21, "outer"), member(23, "inner"), member(24, "outer"), member(22, ""), gate])
}

fn vertices(nodes: &[i64]) -> Value {
    let vertex = |node: &i64| {
        let [lon, lat] = NODES[*node as usize - 1];
        json!({"lat": lat, "lon": lon})
    };
    nodes.iter().map(vertex).collect()
}

fn relation(id: i64, kind: &str, members: Value) -> Value {
    json!({"type": "relation", "id": id, "members": members, "tags": {"type": kind, "name": format!("Block {id}")}})
}

fn node(id: i64, tags: Value) -> Value {
    let [lon, lat] = NODES[id as usize - 1];
    json!({"type": "node", "id": id, "lat": lat, "lon": lon, "tags": tags})
}

fn document(elements: &[Value]) -> String {
    let head = json!({"timestamp_osm_base": "2026-11-30T06:00:00Z"});
    let text = json!({"version": 0.6, "generator": "Overpass API 0.7.62", "osm3s": head, "elements": elements});
    serde_json::to_string_pretty(&text).unwrap()
}

/// `out geom;` of two ways, three relations and a gate.
fn with_geometry() -> Vec<Value> {
    let way = |id: i64| {
        let nodes = WAYS.iter().find(|(way, _)| *way == id).unwrap().1;
        json!({"type": "way", "id": id, "nodes": nodes, "geometry": vertices(nodes), "tags": tags(id)})
    };
    vec![
        way(25),
        way(26),
        relation(11, "multipolygon", members(vertices)),
        relation(12, "boundary", members(vertices)),
        relation(13, "route", json!([{"type": "way", "ref": 26, "role": "", "geometry": vertices(&[1, 12])}])),
        node(12, json!({"barrier": "gate", "name": "Gate"})),
    ]
}

/// The same by `out body; >; out skel qt;`: ways and members refer to what follows, and some of it is there twice.
fn with_references() -> Vec<Value> {
    let way = |(id, nodes): &(i64, &[i64])| json!({"type": "way", "id": id, "nodes": nodes});
    let tagged = |(id, nodes): &(i64, &[i64])| json!({"type": "way", "id": id, "nodes": nodes, "tags": tags(*id)});
    let references = || members(|_| Value::Null);
    let mut elements: Vec<Value> = WAYS[4..].iter().map(tagged).collect();
    elements.push(relation(11, "multipolygon", references()));
    elements.push(relation(12, "boundary", references()));
    elements.push(relation(13, "route", json!([{"type": "way", "ref": 26, "role": ""}])));
    elements.push(node(12, json!({"barrier": "gate", "name": "Gate"})));
    elements.extend(WAYS.iter().map(way));
    elements.extend((1..=12).map(|id| {
        let [lon, lat] = NODES[id as usize - 1];
        json!({"type": "node", "id": id, "lat": lat, "lon": lon})
    }));
    elements
}

#[test]
fn closed_ways_and_multipolygons_are_geofences_however_they_are_given() {
    for elements in [with_geometry(), with_references()] {
        let found = read("export.json", GeoJson, "", document(&elements));
        let expected = ["way/25 depot: 5 vertices", "relation/11: 14 vertices", "relation/12: 14 vertices"];
        assert_eq!(found, expected);
        let text = summary("export.json", document(&elements));
        for line in [
            "3 geofences (Overpass JSON)",
            "open ways of OpenStreetMap: no areas, left out, once, at 2 (way/26)",
            "relations of OpenStreetMap that are no multipolygons: left out, once, at 5 (relation/13 Block 13)",
            "points of OpenStreetMap: no areas, left out, once, at 6 (node/12 Gate)",
        ] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
    }
    // As one line, as some programs store what they fetched, and from OpenStreetMap's own interface.
    let line =
        json!({"version": "0.6", "generator": "openstreetmap-cgimap", "elements": with_references()}).to_string();
    assert_eq!(read("full.json", GeoJson, "", line).len(), 3);
}

#[test]
fn the_hole_of_a_multipolygon_is_outside() {
    let (_folder, path) = file("export.json", document(&with_references()));
    let limits = Limits::default();
    let mut source = open_with(&path, GeoJson, &reading(""), &limits).unwrap();
    source.next_record().unwrap();
    let record = source.next_record().unwrap().unwrap();
    let Event::Geofence(change) = record.result.unwrap() else { panic!() };
    let geofence = change.definition.unwrap().geofence;
    assert_eq!(geofence.name.as_deref(), Some("Block 11"));
    for (lon, lat, inside) in
        [(3.402, 6.502, true), (3.41, 6.51, false), (3.416, 6.516, true), (3.438, 6.504, true), (3.425, 6.505, false)]
    {
        assert_eq!(geofence.shape.covers(Place::from_degrees(lon, lat)), inside, "{lon} {lat}");
    }
}

#[test]
fn what_lacks_coordinates_or_does_not_close_is_refused_with_the_cure() {
    let refused = |elements: &[Value]| {
        let found = read("export.json", GeoJson, "", document(elements));
        assert!(found.len() == 1 && found[0].starts_with("geometry "), "{found:?}");
        found[0].clone()
    };
    let way = |more: Value| {
        let mut way = json!({"type": "way", "id": 25, "tags": tags(25)});
        way.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        way
    };
    let bare = refused(&[way(json!({}))]);
    assert!(bare.contains("way/25 Yard: it has no coordinates") && bare.contains("out geom;"), "{bare}");
    let nodes = refused(&[way(json!({"nodes": [1, 2, 3, 1]})), node(1, json!({})), node(2, json!({}))]);
    assert!(nodes.contains("node/3 of it has no coordinates"), "{nodes}");
    let cut = refused(&[way(json!({"geometry": [{"lat": 6.5, "lon": 3.4}, null, {"lat": 6.5, "lon": 3.4}]}))]);
    assert!(cut.contains("cut off at a bounding box"), "{cut}");
    let mut open = members(vertices);
    open.as_array_mut().unwrap().pop();
    open.as_array_mut().unwrap().pop();
    let open = refused(&[relation(11, "multipolygon", open)]);
    assert!(open.contains("relation/11 Block 11: its border does not close at longitude 3.4"), "{open}");
    let absent = refused(&[relation(11, "multipolygon", members(|_| Value::Null))]);
    assert!(absent.contains("way/21 of it is missing"), "{absent}");
    assert!(refused(&[relation(11, "boundary", json!([]))]).contains("no outer way"));
}

#[test]
fn a_query_that_broke_off_is_reported() {
    let remark = "runtime error: Query timed out in \"query\" at line 3 after 26 seconds.";
    let text = json!({"generator": "Overpass API", "elements": with_geometry(), "remark": remark}).to_string();
    let found = read("export.json", GeoJson, "", text);
    assert_eq!(found.len(), 4);
    assert!(found[3].starts_with("malformed Overpass reports: runtime error: Query timed out"), "{found:?}");
    let text = document(&[json!({"type": "way", "id": "x"})]);
    let found = read("export.json", GeoJson, "", text);
    assert!(found.len() == 1 && found[0].starts_with("malformed expected JSON of Overpass: "), "{found:?}");
    assert!(read("export.json", GeoJson, "", document(&[])).is_empty());
    let counted = document(&[json!({"type": "count", "id": 0, "tags": {"total": "7"}})]);
    assert!(summary("export.json", counted).contains("that are no node, way or relation: left out, once"));
}

/// Beside osmtogeojson, which overpass turbo exports with.
mod servers {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde_json::{Value, json};
    use watchtower_core::events::{Event, Limits};
    use watchtower_inputs::open_with;
    use watchtower_model::Place;

    use super::super::field::reading;
    use super::GeoJson;
    use crate::support::rng::Rng;
    use crate::support::{node, number};

    const CONVERTER: &str = "osmtogeojson@3.0.0-beta.5";
    /// Relations of a document, one in each degree of longitude.
    const RELATIONS: i64 = 60;

    /// Nodes and ways of a document that is being made.
    #[derive(Default)]
    struct Drawing {
        nodes: Vec<[f64; 2]>,
        ways: Vec<Vec<i64>>,
    }

    impl Drawing {
        /// A ring around a place, cut into ways in any order and direction; the ways' numbers.
        fn ring(&mut self, rng: &mut Rng, [lon, lat]: [f64; 2], radius: f64) -> Vec<i64> {
            let count = rng.between(8, 16);
            let first = self.nodes.len() as i64 + 1;
            for at in 0..count {
                let angle = std::f64::consts::TAU * at as f64 / count as f64;
                let radius = radius * rng.between(80, 100) as f64 / 100.0;
                let rounded = |degrees: f64| (degrees * 1e7).round() / 1e7;
                self.nodes.push([rounded(lon + radius * angle.cos()), rounded(lat + radius * angle.sin())]);
            }
            let mut cuts: Vec<i64> = (0..rng.below(4)).map(|_| rng.between(1, count - 1)).collect();
            cuts.extend([0, count]);
            cuts.sort_unstable();
            cuts.dedup();
            let mut ways = Vec::new();
            for ends in cuts.windows(2) {
                let mut way: Vec<i64> = (ends[0]..=ends[1]).map(|at| first + at % count).collect();
                if rng.chance(50) {
                    way.reverse();
                }
                self.ways.push(way);
                ways.push(self.ways.len() as i64);
            }
            ways
        }

        /// A relation of one to three parts with holes.
        fn relation(&mut self, rng: &mut Rng, id: i64) -> Value {
            let mut members = Vec::new();
            for part in 0..rng.between(1, 3) {
                let center = [id as f64 + 0.3 * part as f64, 6.0];
                let mut add = |ways: Vec<i64>, role: &str| {
                    members.extend(ways.into_iter().map(|way| json!({"type": "way", "ref": way, "role": role})));
                };
                add(self.ring(rng, center, 0.12), "outer");
                for hole in 0..rng.below(3) {
                    let center = [center[0] - 0.04 + 0.08 * hole as f64, center[1]];
                    add(self.ring(rng, center, 0.03), "inner");
                }
            }
            rng.shuffle(&mut members);
            json!({"type": "relation", "id": id, "members": members, "tags": {"type": "multipolygon", "landuse": "industrial"}})
        }

        fn elements(&self) -> impl Iterator<Item = Value> {
            let ways =
                (1..).zip(&self.ways).map(|(id, nodes): (i64, _)| json!({"type": "way", "id": id, "nodes": nodes}));
            let nodes = (1..).zip(&self.nodes);
            ways.chain(
                nodes.map(|(id, [lon, lat]): (i64, _)| json!({"type": "node", "id": id, "lat": lat, "lon": lon})),
            )
        }
    }

    /// For each relation, which of the places are inside.
    fn covered(path: &Path, places: &[[f64; 2]]) -> BTreeMap<String, Vec<usize>> {
        let limits = Limits::default();
        let mut source = open_with(path, GeoJson, &reading(""), &limits).unwrap();
        let mut found = BTreeMap::new();
        while let Some(record) = source.next_record().unwrap() {
            // Of the ways that are a whole ring only the relations that they belong to are compared.
            let Ok(Event::Geofence(change)) = record.result else { continue };
            if !change.geofence_id.starts_with("relation/") {
                continue;
            }
            let shape = &change.definition.as_ref().unwrap().geofence.shape;
            let covers = |[lon, lat]: [f64; 2]| shape.covers(Place::from_degrees(lon, lat));
            let inside = (0..places.len()).filter(|at| covers(places[*at])).collect();
            found.insert(change.geofence_id.to_string(), inside);
        }
        found
    }

    #[test]
    fn the_areas_of_relations_are_those_of_osmtogeojson() {
        let Some(modules) = node::modules(CONVERTER) else { return };
        let seed = number("WATCHTOWER_SEED").unwrap_or(7);
        let mut rng = Rng::new(seed);
        let mut drawing = Drawing::default();
        let mut elements: Vec<Value> = (1..=RELATIONS).map(|id| drawing.relation(&mut rng, id)).collect();
        elements.extend(drawing.elements());
        rng.shuffle(&mut elements);
        let (_folder, path) = super::file("export.json", super::document(&elements));
        let converter: PathBuf = modules.join(".bin/osmtogeojson");
        let output = Command::new(converter).args(["-f", "json"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let converted = path.with_file_name("converted.geojson");
        std::fs::write(&converted, output.stdout).unwrap();
        let places: Vec<[f64; 2]> = (0..4000)
            .map(|_| {
                [
                    1.0 + rng.between(-200_000, 60_600_000) as f64 / 1e6,
                    6.0 + rng.between(-130_000, 130_000) as f64 / 1e6,
                ]
            })
            .collect();
        let (ours, theirs) = (covered(&path, &places), covered(&converted, &places));
        assert_eq!(ours.len(), RELATIONS as usize, "seed {seed}");
        assert_eq!(theirs.len(), ours.len(), "seed {seed}");
        ours.iter().for_each(|(id, inside)| assert_eq!(theirs.get(id), Some(inside), "{id}, seed {seed}"));
        assert!(ours.values().map(Vec::len).sum::<usize>() > 400, "seed {seed}");
    }
}
