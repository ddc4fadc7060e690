//! Geofences from the JSON of Overpass, OpenStreetMap's query interface: closed ways, and relations of the types
//! multipolygon and boundary. Tags become properties; the id is `way/27` or `relation/11`, as overpass turbo has it in
//! GeoJSON.
//!
//! Coordinates stand in each way and member (`out geom`), or in nodes that ways refer to. An element that is there twice,
//! once with tags and once as a part of another one, is one element. Ways without tags that are parts of a relation
//! are no geofences of their own; nodes, open ways and other relations are counted.

mod element;
mod rings;

use std::path::Path;

use serde_json::{Map, Value};
use watchtower_core::events::{Limits, Reason};

use super::Progress;
use super::forms::Form;
use super::geojson::GeoJson;
use super::made::Made;
use super::notes::Notes;
use super::reading::Reading;
use element::{Document, Kind, Line, Member, Merged};

const POINTS: &str = "points of OpenStreetMap: no areas, left out";
const OPEN_WAYS: &str = "open ways of OpenStreetMap: no areas, left out";
const OTHERS: &str = "elements that are no node, way or relation: left out";
const OTHER_RELATIONS: &str = "relations of OpenStreetMap that are no multipolygons: left out";

/// The geofences of a document, if it is one of Overpass.
pub(crate) fn read(
    path: &Path,
    document: &[u8],
    progress: Progress,
    reading: &Reading,
    limits: &Limits,
) -> Option<GeoJson> {
    let (mut made, mut notes) = (Made::default(), Notes::default());
    match Document::parse(document)? {
        Ok(document) => make_all(document, &mut made, &mut notes),
        Err(fault) => made.refuse(1, "", Reason::Malformed, format!("expected JSON of Overpass: {fault}")),
    }
    let mut source = GeoJson::of(path, made.document, made.items, progress, reading, limits);
    notes.format = "Overpass JSON".to_owned();
    *source.notes_mut() = notes;
    Some(source)
}

fn make_all(Document { elements, remark }: Document, made: &mut Made, notes: &mut Notes) {
    let merged = Merged::new(elements);
    for (index, position) in merged.order() {
        make(&merged, index, position, made, notes);
    }
    if let Some(remark) = remark {
        let detail = format!("Overpass reports: {remark:.200}: the file may be incomplete");
        made.refuse(merged.len() as u64 + 1, &remark, Reason::Malformed, detail);
    }
}

/// Makes a geofence of an element, or counts it.
fn make(merged: &Merged, index: usize, position: u64, made: &mut Made, notes: &mut Notes) {
    let element = merged.element(index);
    let name = element.name();
    let form = match element.kind {
        Kind::Node if !element.has_tags() && merged.is_part(element) => return,
        Kind::Node => return notes.count(POINTS, "", position, &name),
        Kind::Way if !element.has_tags() && merged.is_part(element) => return,
        Kind::Way => match merged.line_of_way(element) {
            Ok(line) if is_closed(&line) => Ok(Form::Polygon(vec![line])),
            Ok(_) => return notes.count(OPEN_WAYS, "", position, &name),
            Err(fault) => Err(fault),
        },
        Kind::Relation if !element.is_area() => return notes.count(OTHER_RELATIONS, "", position, &name),
        Kind::Relation => polygons(merged, &element.members),
        Kind::Other => return notes.count(OTHERS, "", position, &name),
    };
    match form {
        Ok(form) => made.push(position, &properties(&element.tags, element.id_text()), &form.to_json().0),
        Err(fault) => made.refuse(position, &name, Reason::Geometry, format!("{name}: {fault}")),
    }
}

fn is_closed(line: &Line) -> bool {
    line.len() >= 4 && line.first() == line.last()
}

fn properties(tags: &Map<String, Value>, id: String) -> Map<String, Value> {
    let mut properties = tags.clone();
    properties.insert("id".to_owned(), Value::from(id));
    properties
}

/// The area of a relation: its ways joined to rings, inner ones put into outer ones.
fn polygons(merged: &Merged, members: &[Member]) -> Result<Form, String> {
    let lines = |wanted: &dyn Fn(&str) -> bool| -> Result<Vec<Line>, String> {
        let ways = members.iter().filter(|member| member.is_way() && wanted(&member.role));
        ways.map(|member| merged.line_of_member(member)).collect()
    };
    // A way without a role is an outer one, as most programs take it.
    let outer = rings::joined(lines(&|role| matches!(role, "outer" | ""))?)?;
    let inner = rings::joined(lines(&|role| role == "inner")?)?;
    let mut polygons = rings::nested(outer, inner)?;
    Ok(match polygons.len() {
        1 => Form::Polygon(polygons.remove(0)),
        _ => Form::Many(polygons.into_iter().map(Form::Polygon).collect()),
    })
}
