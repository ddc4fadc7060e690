//! Geometries that are no areas by themselves: closed lines, collections, lines with a width.

use i_overlay::core::fill_rule::FillRule;
use i_overlay::float::simplify::SimplifyShape;
use serde::Deserialize;
use serde_json::value::RawValue;
use watchtower_core::events::{Reason, Rejection};
use watchtower_model::geometry::geodesic::metres_per_degree;

use super::notes::Notes;

pub(crate) const CLOSED_LINES: &str = "closed lines, taken as areas";
pub(crate) const PARTS_LEFT_OUT: &str = "points and lines beside areas, left out";
pub(crate) const CORRIDORS: &str = "lines made corridors by their buffer_m";

/// Vertices of the half circle at each end of a corridor's piece.
const HALF_CIRCLE: u32 = 12;
/// The most pieces of a line that becomes a corridor.
const MAX_CORRIDOR_PIECES: usize = 5000;
/// The widest corridor, in metres on either side.
const MAX_BUFFER_M: f64 = 50_000.0;
/// Collections within collections.
const MAX_DEPTH: usize = 8;

type Vertex = [f64; 2];

/// A geometry of any kind, in degrees, longitude first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    Point(Vertex),
    Circle { center: Vertex, radius_m: f64 },
    Line(Vec<Vertex>),
    Polygon(Vec<Vec<Vertex>>),
    Many(Vec<Form>),
}

/// An area as GeoJSON, and the radius that makes a point one.
pub(crate) struct Area {
    pub(crate) json: String,
    pub(crate) radius_m: Option<f64>,
}

#[derive(Deserialize)]
struct Json<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    coordinates: Option<&'a RawValue>,
    #[serde(borrow)]
    geometries: Option<Vec<&'a RawValue>>,
}

/// The kind of a geometry in GeoJSON, if it names one.
pub(crate) fn kind_of(json: &str) -> Option<String> {
    serde_json::from_str::<Json<'_>>(json).ok().map(|geometry| geometry.kind)
}

fn invalid(detail: impl std::fmt::Display) -> Rejection {
    Rejection::new(Reason::Geometry, format!("geometry: {detail}"))
}

impl Form {
    /// Reads a geometry of GeoJSON.
    pub(crate) fn from_json(json: &str) -> Result<Self, Rejection> {
        Self::nested(json, 0)
    }

    fn nested(json: &str, depth: usize) -> Result<Self, Rejection> {
        let geometry: Json<'_> = serde_json::from_str(json).map_err(invalid)?;
        let coordinates = geometry.coordinates.map_or("null", RawValue::get);
        Ok(match geometry.kind.as_str() {
            "Point" => Self::Point(vertex(&read::<Vec<f64>>(coordinates)?)?),
            "MultiPoint" => Self::Many(vertices(&read::<Line>(coordinates)?)?.into_iter().map(Self::Point).collect()),
            "LineString" => Self::Line(vertices(&read::<Line>(coordinates)?)?),
            "MultiLineString" => {
                let lines = read::<Vec<Line>>(coordinates)?;
                Self::Many(lines.iter().map(|line| vertices(line).map(Self::Line)).collect::<Result<_, _>>()?)
            }
            "Polygon" => Self::Polygon(rings(&read::<Vec<Line>>(coordinates)?)?),
            "MultiPolygon" => {
                let polygons = read::<Vec<Vec<Line>>>(coordinates)?;
                Self::Many(polygons.iter().map(|each| rings(each).map(Self::Polygon)).collect::<Result<_, _>>()?)
            }
            "GeometryCollection" if depth < MAX_DEPTH => {
                let parts = geometry.geometries.ok_or_else(|| invalid("a GeometryCollection needs geometries"))?;
                Self::Many(parts.iter().map(|part| Self::nested(part.get(), depth + 1)).collect::<Result<_, _>>()?)
            }
            other => return Err(invalid(format_args!("{other:.64} is no geometry that can be read"))),
        })
    }

    /// As GeoJSON. A circle is a point; its radius goes beside it.
    pub(crate) fn to_json(&self) -> (String, Option<f64>) {
        let json = |kind: &str, coordinates: serde_json::Value| {
            serde_json::json!({"type": kind, "coordinates": coordinates}).to_string()
        };
        match self {
            Self::Point(point) => (json("Point", serde_json::json!(point)), None),
            Self::Circle { center, radius_m } => (json("Point", serde_json::json!(center)), Some(*radius_m)),
            Self::Line(line) => (json("LineString", serde_json::json!(line)), None),
            Self::Polygon(rings) => (json("Polygon", serde_json::json!(rings)), None),
            Self::Many(parts) => match alike(parts) {
                Some((kind, coordinates)) => (json(kind, coordinates), None),
                None => collection(parts),
            },
        }
    }

    /// The area that it is, or becomes. `radius_m` belongs to points, `buffer_m` to lines.
    pub(crate) fn area(
        &self,
        radius_m: Option<f64>,
        buffer_m: Option<f64>,
        notes: &mut Notes,
        position: u64,
    ) -> Result<Area, Rejection> {
        let mut parts = Parts::default();
        parts.collect(self);
        if let Some(buffer_m) = buffer_m
            && !parts.lines.is_empty()
        {
            parts.polygons.extend(corridor(&parts.lines, buffer_m)?);
            notes.count(CORRIDORS, "", position, "");
            parts.lines.clear();
        }
        let is_closed = |line: &Vec<Vertex>| line.len() >= 4 && line.first() == line.last();
        let (closed, open): (Vec<_>, Vec<_>) = std::mem::take(&mut parts.lines).into_iter().partition(is_closed);
        if parts.polygons.is_empty() && !closed.is_empty() {
            notes.count(CLOSED_LINES, "", position, "");
            parts.polygons.extend(closed.into_iter().map(|line| vec![line]));
        }
        let left_out = open.len() + parts.points.len();
        if !parts.polygons.is_empty() {
            if left_out > 0 {
                notes.count(PARTS_LEFT_OUT, "", position, "");
            }
            let (kind, coordinates) = match parts.polygons.as_slice() {
                [polygon] => ("Polygon", serde_json::json!(polygon)),
                polygons => ("MultiPolygon", serde_json::json!(polygons)),
            };
            let json = serde_json::json!({"type": kind, "coordinates": coordinates}).to_string();
            return Ok(Area { json, radius_m: None });
        }
        match (parts.points.as_slice(), open.as_slice()) {
            ([(center, own)], []) => match own.or(radius_m) {
                Some(radius_m) => {
                    let json = serde_json::json!({"type": "Point", "coordinates": center}).to_string();
                    Ok(Area { json, radius_m: Some(radius_m) })
                }
                None => Err(invalid("a Point needs radius_m, in metres")),
            },
            (_, [_, ..]) => Err(invalid("a line is no area: close it, or give it buffer_m, metres on either side")),
            ([_, _, ..], []) => Err(invalid("several points are no area: a feature each, with radius_m")),
            ([], []) => Err(invalid("it is empty")),
        }
    }
}

/// Kind and coordinates of parts that are all polygons, all lines or all points.
fn alike(parts: &[Form]) -> Option<(&'static str, serde_json::Value)> {
    let kind = match parts.first()? {
        Form::Polygon(_) => "MultiPolygon",
        Form::Line(_) => "MultiLineString",
        Form::Point(_) => "MultiPoint",
        Form::Circle { .. } | Form::Many(_) => return None,
    };
    let coordinates: Option<Vec<serde_json::Value>> = parts
        .iter()
        .map(|part| match (part, kind) {
            (Form::Polygon(rings), "MultiPolygon") => Some(serde_json::json!(rings)),
            (Form::Line(line), "MultiLineString") => Some(serde_json::json!(line)),
            (Form::Point(point), "MultiPoint") => Some(serde_json::json!(point)),
            _ => None,
        })
        .collect();
    Some((kind, serde_json::Value::from(coordinates?)))
}

/// Parts of several kinds as GeoJSON, and the radius of the first circle among them.
fn collection(parts: &[Form]) -> (String, Option<f64>) {
    let (texts, radii): (Vec<String>, Vec<Option<f64>>) = parts.iter().map(Form::to_json).unzip();
    let text = format!(r#"{{"type":"GeometryCollection","geometries":[{}]}}"#, texts.join(","));
    (text, radii.into_iter().flatten().next())
}

/// What a geometry is made of.
#[derive(Default)]
struct Parts {
    polygons: Vec<Vec<Vec<Vertex>>>,
    lines: Vec<Vec<Vertex>>,
    points: Vec<(Vertex, Option<f64>)>,
}

impl Parts {
    fn collect(&mut self, form: &Form) {
        match form {
            Form::Point(point) => self.points.push((*point, None)),
            Form::Circle { center, radius_m } => self.points.push((*center, Some(*radius_m))),
            Form::Line(line) => self.lines.push(line.clone()),
            Form::Polygon(rings) => self.polygons.push(rings.clone()),
            Form::Many(parts) => parts.iter().for_each(|part| self.collect(part)),
        }
    }
}

type Line = Vec<Vec<f64>>;

fn read<'a, T: Deserialize<'a>>(coordinates: &'a str) -> Result<T, Rejection> {
    serde_json::from_str(coordinates).map_err(|fault| invalid(format_args!("coordinates: {fault}")))
}

fn vertex(numbers: &[f64]) -> Result<Vertex, Rejection> {
    match numbers {
        [lon, lat, ..] => Ok([*lon, *lat]),
        _ => Err(invalid("a position needs lon and lat")),
    }
}

fn vertices(line: &Line) -> Result<Vec<Vertex>, Rejection> {
    line.iter().map(|numbers| vertex(numbers)).collect()
}

fn rings(polygon: &[Line]) -> Result<Vec<Vec<Vertex>>, Rejection> {
    polygon.iter().map(vertices).collect()
}

/// What lies within `buffer_m` metres of lines: around each piece a rectangle with half circles at its ends, in
/// metres of the local latitude, all joined.
fn corridor(lines: &[Vec<Vertex>], buffer_m: f64) -> Result<Vec<Vec<Vec<Vertex>>>, Rejection> {
    if !(buffer_m > 0.0 && buffer_m <= MAX_BUFFER_M) {
        return Err(invalid(format_args!("buffer_m: expected more than 0 to {MAX_BUFFER_M}, found {buffer_m}")));
    }
    let pieces: usize = lines.iter().map(|line| line.len().saturating_sub(1)).sum();
    if pieces == 0 || pieces > MAX_CORRIDOR_PIECES {
        return Err(invalid(format_args!("a corridor of 1 to {MAX_CORRIDOR_PIECES} pieces, found {pieces}")));
    }
    let all = lines.iter().flatten();
    if let Some([lon, lat]) = all.clone().find(|[lon, lat]| !(lon.abs() <= 180.0 && lat.abs() <= 89.0)) {
        return Err(invalid(format_args!("[{lon}, {lat}] is not where a corridor can be")));
    }
    let capsules: Vec<Vec<Vertex>> =
        lines.iter().flat_map(|line| line.windows(2)).map(|piece| capsule(piece[0], piece[1], buffer_m)).collect();
    let mut joined = capsules.simplify_shape(FillRule::NonZero);
    // Its rings are left open.
    joined.iter_mut().flatten().filter(|ring| !ring.is_empty()).for_each(|ring| ring.push(ring[0]));
    Ok(joined)
}

/// Counter-clockwise, left open.
fn capsule(from: Vertex, to: Vertex, buffer_m: f64) -> Vec<Vertex> {
    let middle = f64::midpoint(from[1], to[1]);
    let (lon_m, lat_m) = metres_per_degree(middle);
    let direction = ((to[1] - from[1]) * lat_m).atan2((to[0] - from[0]) * lon_m);
    let mut ring = Vec::with_capacity(2 * HALF_CIRCLE as usize + 3);
    for (end, start) in [(to, -0.5), (from, 0.5)] {
        let (lon_m, lat_m) = metres_per_degree(end[1]);
        for step in 0..=HALF_CIRCLE {
            let turn = start + f64::from(step) / f64::from(HALF_CIRCLE);
            let angle = direction + turn * std::f64::consts::PI;
            ring.push([end[0] + buffer_m * angle.cos() / lon_m, end[1] + buffer_m * angle.sin() / lat_m]);
        }
    }
    ring
}
