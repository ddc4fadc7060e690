//! The elements of OpenStreetMap as Overpass lists them.

use std::collections::{HashMap, HashSet};

use rustc_hash::FxBuildHasher;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longitude and latitude of each vertex, degrees.
pub(super) type Line = Vec<[f64; 2]>;

/// What helps where coordinates are missing.
const CURE: &str = "end the query with \"out geom;\", or with \"out body; >; out skel;\"";
/// Tags that say nothing of the object itself.
const UNINTERESTING: [&str; 3] = ["source", "created_by", "type"];
/// Types of relations that are areas.
const AREAS: [&str; 2] = ["multipolygon", "boundary"];

/// A document of Overpass.
#[derive(Deserialize)]
pub(super) struct Document {
    /// The elements in their order.
    pub(super) elements: Vec<Element>,
    /// What went wrong on the server: the elements before it are in the document all the same.
    pub(super) remark: Option<String>,
}

/// The kinds of element.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Node,
    Way,
    Relation,
    /// An area or a count of Overpass's own.
    #[serde(other)]
    Other,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Way => "way",
            Self::Relation => "relation",
            Self::Other => "element",
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
struct Vertex {
    lat: f64,
    lon: f64,
}

/// An element; which members it has depends on its kind and on the `out` of the query.
#[derive(Deserialize)]
pub(super) struct Element {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    id: i64,
    lat: Option<f64>,
    lon: Option<f64>,
    #[serde(default)]
    nodes: Vec<i64>,
    /// `null` where a vertex is outside the bounding box of the query.
    #[serde(default)]
    geometry: Vec<Option<Vertex>>,
    #[serde(default)]
    pub(super) members: Vec<Member>,
    #[serde(default)]
    pub(super) tags: Map<String, Value>,
}

/// A part of a relation.
#[derive(Deserialize)]
pub(super) struct Member {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(rename = "ref")]
    id: i64,
    #[serde(default)]
    pub(super) role: String,
    #[serde(default)]
    geometry: Vec<Option<Vertex>>,
}

impl Document {
    /// Reads a document; nothing if it is none of Overpass.
    ///
    /// # Errors
    /// Within: if its elements cannot be read.
    pub(super) fn parse(document: &[u8]) -> Option<Result<Self, serde_json::Error>> {
        #[derive(Deserialize)]
        struct Signs<'a> {
            #[serde(borrow)]
            elements: Option<Vec<&'a serde_json::value::RawValue>>,
            generator: Option<String>,
            osm3s: Option<serde::de::IgnoredAny>,
        }
        let signs: Signs<'_> = serde_json::from_slice(document).ok()?;
        signs.elements.filter(|_| signs.generator.is_some() || signs.osm3s.is_some())?;
        Some(serde_json::from_slice(document))
    }
}

impl Element {
    /// As overpass turbo writes it: `way/27`.
    pub(super) fn id_text(&self) -> String {
        format!("{}/{}", self.kind.name(), self.id)
    }

    /// Id and name.
    pub(super) fn name(&self) -> String {
        match self.tags.get("name").and_then(Value::as_str) {
            Some(name) => format!("{} {name}", self.id_text()),
            None => self.id_text(),
        }
    }

    /// Whether its tags say what it is.
    pub(super) fn has_tags(&self) -> bool {
        self.tags.keys().any(|key| !UNINTERESTING.contains(&key.as_str()))
    }

    /// Whether it is a relation that is an area.
    pub(super) fn is_area(&self) -> bool {
        self.tags.get("type").and_then(Value::as_str).is_some_and(|kind| AREAS.contains(&kind))
    }
}

impl Member {
    /// Whether it is a piece of a border.
    pub(super) fn is_way(&self) -> bool {
        self.kind == Kind::Way
    }
}

/// The elements of a document, each once.
pub(super) struct Merged {
    elements: Vec<Element>,
    /// The place of each element that counts.
    by_id: HashMap<(Kind, i64), usize, FxBuildHasher>,
    /// Nodes of ways, and members of areas.
    parts: HashSet<(Kind, i64), FxBuildHasher>,
}

impl Merged {
    /// Joins what is there several times: the first of an id has the tags and coordinates of all.
    pub(super) fn new(mut elements: Vec<Element>) -> Self {
        let mut by_id = HashMap::default();
        for index in 0..elements.len() {
            let key = (elements[index].kind, elements[index].id);
            let first = *by_id.entry(key).or_insert(index);
            if first < index {
                let (before, after) = elements.split_at_mut(index);
                before[first].complete(&mut after[0]);
            }
        }
        let mut parts: HashSet<(Kind, i64), FxBuildHasher> = HashSet::default();
        for element in &elements {
            parts.extend(element.nodes.iter().map(|id| (Kind::Node, *id)));
            if element.is_area() {
                parts.extend(element.members.iter().map(|member| (member.kind, member.id)));
            }
        }
        Self { elements, by_id, parts }
    }

    /// The elements that count, and their places in the document, from 1.
    pub(super) fn order(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = |(index, element): &(usize, &Element)| self.by_id.get(&(element.kind, element.id)) == Some(index);
        self.elements.iter().enumerate().filter(counts).map(|(index, _)| (index, index as u64 + 1))
    }

    /// Elements of the document, each as often as it is there.
    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    /// The element at a place.
    pub(super) fn element(&self, index: usize) -> &Element {
        &self.elements[index]
    }

    /// Whether it belongs to a way or to an area.
    pub(super) fn is_part(&self, element: &Element) -> bool {
        self.parts.contains(&(element.kind, element.id))
    }

    /// The vertices of a way.
    ///
    /// # Errors
    /// If some are missing.
    pub(super) fn line_of_way(&self, way: &Element) -> Result<Line, String> {
        if !way.geometry.is_empty() {
            return line(&way.geometry);
        }
        if way.nodes.is_empty() {
            return Err(format!("it has no coordinates: {CURE}"));
        }
        let vertex = |id: &i64| {
            let node = self.by_id.get(&(Kind::Node, *id)).map(|index| &self.elements[*index]);
            let place = node.and_then(|node| Some([node.lon?, node.lat?]));
            place.ok_or_else(|| format!("node/{id} of it has no coordinates: {CURE}"))
        };
        way.nodes.iter().map(vertex).collect()
    }

    /// The vertices of a way of a relation.
    ///
    /// # Errors
    /// If some are missing.
    pub(super) fn line_of_member(&self, member: &Member) -> Result<Line, String> {
        if !member.geometry.is_empty() {
            return line(&member.geometry);
        }
        match self.by_id.get(&(Kind::Way, member.id)) {
            Some(index) => self.line_of_way(&self.elements[*index]),
            None => Err(format!("way/{} of it is missing: {CURE}", member.id)),
        }
    }
}

impl Element {
    /// Takes over what it lacks from another copy of it.
    fn complete(&mut self, other: &mut Self) {
        if self.tags.is_empty() {
            self.tags = std::mem::take(&mut other.tags);
        }
        if self.geometry.is_empty() {
            self.geometry = std::mem::take(&mut other.geometry);
        }
        if self.nodes.is_empty() {
            self.nodes = std::mem::take(&mut other.nodes);
        }
        if self.members.is_empty() {
            self.members = std::mem::take(&mut other.members);
        }
        (self.lat, self.lon) = (self.lat.or(other.lat), self.lon.or(other.lon));
    }
}

fn line(geometry: &[Option<Vertex>]) -> Result<Line, String> {
    let vertex = |vertex: &Option<Vertex>| vertex.map(|Vertex { lat, lon }| [lon, lat]);
    let line: Option<Line> = geometry.iter().map(vertex).collect();
    line.ok_or_else(|| "it is cut off at a bounding box: \"out geom;\" without one has all of it".to_owned())
}
