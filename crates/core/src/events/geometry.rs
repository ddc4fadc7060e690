//! Geometries of geofences as GeoJSON. Whatever is wrong inside one is `geometry`.

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use watchtower_model::geometry::{Shape, crosses_antimeridian};

use super::rejection::{Reason, Rejection, quoted};

/// Rings, the shell first, each a closed list of `[lon, lat]` degrees.
pub type Rings = Vec<Vec<[f64; 2]>>;

/// A geofence's geometry as the producer gave it, so that it can be written again.
#[derive(Clone, Debug, PartialEq)]
pub enum Geometry {
    /// A shell and its holes.
    Polygon(Rings),
    /// Several polygons, each a shell and its holes.
    MultiPolygon(Vec<Rings>),
    /// A geodesic circle.
    Circle {
        /// `[lon, lat]` in degrees.
        center: [f64; 2],
        /// Radius, metres.
        radius_m: f64,
    },
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    coordinates: Option<&'a RawValue>,
    #[serde(borrow)]
    bbox: Option<&'a RawValue>,
}

impl Geometry {
    /// Reads a GeoJSON geometry. `radius_m` belongs to a Point, and a Point needs it.
    pub fn parse(json: &str, radius_m: Option<f64>) -> Result<Self, Rejection> {
        let Object { kind, coordinates, bbox } = serde_json::from_str(json).map_err(|fault| {
            let reason = if fault.is_data() { Reason::Geometry } else { Reason::Malformed };
            Rejection::new(reason, format!("geometry: expected a GeoJSON geometry, found {}: {fault}", quoted(json)))
        })?;
        if let Some(bbox) = bbox {
            check_bbox(bbox)?;
        }
        let coordinates = coordinates.map_or("null", RawValue::get);
        let geometry = match kind.as_deref() {
            Some("Polygon") => Self::Polygon(rings(read(coordinates)?)),
            Some("MultiPolygon") => {
                Self::MultiPolygon(read::<Vec<Vec<Vec<Vertex>>>>(coordinates)?.into_iter().map(rings).collect())
            }
            Some("Point") => {
                let radius_m = radius_m.ok_or_else(|| invalid("a Point needs radius_m"))?;
                return Ok(Self::Circle { center: read::<Vertex>(coordinates)?.0, radius_m });
            }
            Some(other) => {
                return Err(invalid(format!(
                    "expected Polygon, MultiPolygon or Point with radius_m, found {}",
                    quoted(other)
                )));
            }
            None => return Err(invalid("type is missing")),
        };
        Ok(geometry)
    }

    /// The shape, if the geometry is a valid area.
    pub fn shape(&self) -> Result<Shape, Rejection> {
        match self {
            Self::Polygon(rings) => Shape::from_polygons(vec![rings.clone()]),
            Self::MultiPolygon(polygons) => Shape::from_polygons(polygons.clone()),
            Self::Circle { center, radius_m } => Shape::circle(*center, *radius_m),
        }
        .map_err(|fault| invalid(fault.to_string()))
    }

    /// Whether it lies across the antimeridian, where its shape is cut.
    pub fn crosses_antimeridian(&self) -> bool {
        match self {
            Self::Polygon(rings) => crosses_antimeridian(std::slice::from_ref(rings)),
            Self::MultiPolygon(polygons) => crosses_antimeridian(polygons),
            Self::Circle { .. } => false,
        }
    }

    /// As GeoJSON, and the radius that goes beside it.
    pub fn to_json(&self) -> (String, Option<f64>) {
        match self {
            Self::Polygon(rings) => (json("Polygon", rings), None),
            Self::MultiPolygon(polygons) => (json("MultiPolygon", polygons), None),
            Self::Circle { center, radius_m } => (json("Point", center), Some(*radius_m)),
        }
    }
}

fn json(kind: &str, coordinates: &impl serde::Serialize) -> String {
    serde_json::json!({ "type": kind, "coordinates": coordinates }).to_string()
}

fn invalid(fault: impl std::fmt::Display) -> Rejection {
    Rejection::new(Reason::Geometry, format!("geometry: {fault}"))
}

fn read<'a, T: Deserialize<'a>>(coordinates: &'a str) -> Result<T, Rejection> {
    serde_json::from_str(coordinates).map_err(|fault| invalid(format!("coordinates: {fault}")))
}

fn rings(rings: Vec<Vec<Vertex>>) -> Rings {
    rings.into_iter().map(|ring| ring.into_iter().map(|Vertex(vertex)| vertex).collect()).collect()
}

/// Of no use to us, but a wrong one means that the producer meant something else.
fn check_bbox(bbox: &RawValue) -> Result<(), Rejection> {
    match serde_json::from_str::<Vec<f64>>(bbox.get()) {
        Ok(numbers) if matches!(numbers.len(), 4 | 6) => Ok(()),
        _ => Err(invalid(format!("bbox: expected 4 or 6 numbers, found {}", quoted(bbox.get())))),
    }
}

/// A GeoJSON position, wherever it is; altitude and whatever follows it are passed over.
struct Vertex([f64; 2]);

impl<'de> Deserialize<'de> for Vertex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(VertexVisitor)
    }
}

struct VertexVisitor;

impl<'de> Visitor<'de> for VertexVisitor {
    type Value = Vertex;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a position [lon, lat]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vertex, A::Error> {
        let (Some(lon), Some(lat)) = (numbers.next_element::<f64>()?, numbers.next_element::<f64>()?) else {
            return Err(A::Error::custom("a position needs lon and lat"));
        };
        while numbers.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Vertex([lon, lat]))
    }
}
