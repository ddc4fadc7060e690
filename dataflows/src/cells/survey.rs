//! Surveys the contents of a square, from which it becomes a leaf or is divided.
//!
//! The quarters of a square with too many edges for a leaf, but not very many, are surveyed from its own survey,
//! without another search of the index and whole shapes: see [`Survey::narrow`].

use std::ops::ControlFlow;

use super::border::{Edge, MARGIN, distance, rounded, vector};
use super::leaf::Draft;
use super::square::{PlaceBox, Square};
use crate::index::VersionId;
use watchtower_model::Span;
use watchtower_model::geometry::geodesic::reach_m;
use watchtower_model::geometry::{BoundingBox, Circle, Shape};
use watchtower_model::{BEGINNING, END, GeofenceId, Millis, Place};

/// Limit of edges in a leaf. With 8 or 16 the kernel takes about as long, with four times the leaves or twice as many
/// (measured).
const MAX_EDGES: usize = 24;
/// Number of edges that a circle counts as, by the cost of deciding it.
const CIRCLE_EDGES: usize = 4;
/// Distance from an edge that counts as far, as a share of half a side of the square.
const CLEAR: f64 = 1.0 / 16.0;
/// Logarithm of the size below which squares are not divided: 2^9 units are some 6 m at the equator.
const LEAST_LOG_SIZE: u32 = 9;
/// Limit of edges in a survey that is kept for the quarters.
const MAX_SEEN: usize = 256;

/// A version of a geofence with a box that meets a square.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Number of the version.
    pub version: VersionId,
    /// Number of the geofence.
    pub geofence: GeofenceId,
    /// Interval in which it is in force.
    pub span: Span,
    /// Shape of the geofence.
    pub shape: &'a Shape,
}

/// Source of candidates: visits all versions with a box that meets the bounds, some possibly twice, until `visit` stops
/// it.
pub trait Candidates {
    /// Calls `visit` for each candidate.
    fn visit_meeting<'c>(&'c self, bounds: &BoundingBox, visit: impl FnMut(Candidate<'c>) -> ControlFlow<()>);
}

/// The survey has more than [`MAX_SEEN`] edges.
pub(super) struct TooMany;

/// The survey of a square at an instant.
#[derive(Debug)]
pub(super) struct Survey<'c> {
    /// Interval in which it is valid: no version with a box there begins or ends.
    span: Span,
    /// Versions that cover every place of the square.
    covers: Vec<(GeofenceId, VersionId)>,
    /// Circles whose border may touch the square.
    circles: Vec<(GeofenceId, VersionId, &'c Circle)>,
    /// Areas with edges in the square, each with the end of its edges in the list of all.
    areas: Vec<(Candidate<'c>, usize)>,
    edges: Vec<Edge>,
}

impl Default for Survey<'_> {
    fn default() -> Self {
        let span = Span { from: BEGINNING, until: END };
        Self { span, covers: Vec::new(), circles: Vec::new(), areas: Vec::new(), edges: Vec::new() }
    }
}

/// A square in the forms that tests of shapes need.
struct Site {
    places: PlaceBox,
    /// The middle, and half a side plus the margin for rounded edges.
    middle: Place,
    reach: f64,
    /// The part of the square within valid longitudes and latitudes.
    on_earth: PlaceBox,
    /// The square enlarged by a margin, degrees.
    grown: BoundingBox,
}

impl<'c> Survey<'c> {
    /// Surveys a square.
    pub(super) fn take(&mut self, square: Square, t: Millis, candidates: &'c impl Candidates) -> Result<(), TooMany> {
        self.clear(Span { from: BEGINNING, until: END });
        let site = Site::new(square);
        let most = if square.log_size > LEAST_LOG_SIZE { MAX_SEEN } else { usize::MAX };
        candidates.visit_meeting(&site.places.degrees(), |candidate| {
            if during(candidate.span, t, &mut self.span) {
                match candidate.shape {
                    Shape::Circle(circle) => self.add_circle((candidate.geofence, candidate.version, circle), &site),
                    Shape::Area(area) => {
                        let seen = self.edges.len();
                        area.edges_between(site.grown.south, site.grown.north).for_each(|name| {
                            let (a, b) = area.edge(name);
                            if may_meet(&site.grown, (a, b)) {
                                self.edges.push(Edge { name, ends: [rounded(a), rounded(b)] });
                            }
                        });
                        self.edges[seen..].sort_unstable_by_key(|edge| edge.name);
                        self.add_area(candidate, seen, &site);
                    }
                }
            }
            if self.edges.len() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if self.edges.len() > most { Err(TooMany) } else { Ok(()) }
    }

    /// Derives the survey of a part of the square.
    pub(super) fn narrow(&self, part: Square, into: &mut Self) {
        into.clear(self.span);
        into.covers.extend_from_slice(&self.covers);
        let site = Site::new(part);
        self.circles.iter().for_each(|circle| into.add_circle(*circle, &site));
        for (candidate, edges) in self.areas() {
            let seen = into.edges.len();
            into.edges.extend_from_slice(edges);
            into.add_area(candidate, seen, &site);
        }
    }

    /// Whether the contents fit into a leaf.
    pub(super) fn fits(&self, square: Square) -> bool {
        self.edges.len() + CIRCLE_EDGES * self.circles.len() <= MAX_EDGES || square.log_size <= LEAST_LOG_SIZE
    }

    /// Writes the leaf; returns its interval of validity.
    pub(super) fn draft(&self, square: Square, draft: &mut Draft) -> Span {
        draft.clear();
        self.covers.iter().for_each(|&(geofence, version)| draft.add_cover(geofence, version));
        self.circles.iter().for_each(|&(geofence, version, circle)| draft.add_circle(geofence, version, circle));
        let site = Site::new(square);
        for (candidate, edges) in self.areas() {
            let reference = reference(edges, &site).map(|place| (place, candidate.shape.covers(place)));
            draft.add_area(candidate.geofence, candidate.version, edges, reference);
        }
        self.span
    }

    /// The areas with edges in the square, and these edges.
    fn areas(&self) -> impl Iterator<Item = (Candidate<'c>, &[Edge])> {
        let mut begin = 0;
        self.areas
            .iter()
            .map(move |&(candidate, end)| (candidate, &self.edges[std::mem::replace(&mut begin, end)..end]))
    }

    fn clear(&mut self, span: Span) {
        self.span = span;
        self.covers.clear();
        self.circles.clear();
        self.areas.clear();
        self.edges.clear();
    }

    fn add_circle(&mut self, (geofence, version, circle): (GeofenceId, VersionId, &'c Circle), site: &Site) {
        match circle_covers(circle, site) {
            Some(true) => self.covers.push((geofence, version)),
            Some(false) => {}
            // A circle may have two boxes.
            None if self.circles.iter().any(|&(_, seen, _)| seen == version) => {}
            None => self.circles.push((geofence, version, circle)),
        }
    }

    /// Adds an area whose edges from `seen` on, ascending, may touch the square; keeps only those that do.
    fn add_area(&mut self, candidate: Candidate<'c>, seen: usize, site: &Site) {
        let mut kept = seen;
        for at in seen..self.edges.len() {
            let edge = self.edges[at];
            if site.touches(&edge) && self.edges[seen..kept].last().is_none_or(|last| last.name != edge.name) {
                self.edges[kept] = edge;
                kept += 1;
            }
        }
        self.edges.truncate(kept);
        if kept > seen {
            self.areas.push((candidate, kept));
        } else if candidate.shape.covers(site.middle) {
            self.covers.push((candidate.geofence, candidate.version));
        }
    }
}

/// Whether the bounding boxes of two edges meet: a cheap test that most edges fail.
fn may_meet(b: &BoundingBox, ([x, y], [u, v]): ([f64; 2], [f64; 2])) -> bool {
    !((x < b.west) & (u < b.west)
        | (x > b.east) & (u > b.east)
        | (y < b.south) & (v < b.south)
        | (y > b.north) & (v > b.north))
}

/// Whether a span contains `t`; reduces `calm` to the interval in which that stays the same.
fn during(span: Span, t: Millis, calm: &mut Span) -> bool {
    for boundary in [span.from, span.until] {
        if span.is_empty() {
        } else if boundary > t {
            calm.until = calm.until.min(boundary);
        } else {
            calm.from = calm.from.max(boundary);
        }
    }
    span.contains(t)
}

/// Whether a circle covers all of a square or nothing of it; `None` if its border comes near.
fn circle_covers(circle: &Circle, site: &Site) -> Option<bool> {
    let (middle, reach) = site.on_earth.middle();
    let (covered, margin_m) = circle.cover_and_margin(middle.lon_degrees(), middle.lat_degrees());
    (margin_m > reach_m(reach as f64 + MARGIN)).then_some(covered)
}

/// A place far enough from all edges that their rounding does not matter: the first candidate at a distance of at least
/// [`CLEAR`], or else the farthest.
fn reference(edges: &[Edge], site: &Site) -> Option<Place> {
    let PlaceBox { west, south, east, north } = site.places;
    let quarter =
        |from: i32, to: i32, quarters: i64| (i64::from(from) + (i64::from(to) - i64::from(from)) * quarters / 4) as i32;
    let corners = [(1, 1), (3, 1), (1, 3), (3, 3)];
    let corners = corners.map(|(x, y)| Place { lon: quarter(west, east, x), lat: quarter(south, north, y) });
    let clearance = |place: Place| {
        let to = |edge: &Edge| edge.ends.map(|end| vector(place, end));
        edges.iter().map(to).map(|[a, b]| distance(a, b)).fold(f64::INFINITY, f64::min)
    };
    let mut farthest = (2.0 * MARGIN, None);
    for place in [site.middle].into_iter().chain(corners) {
        let clearance = clearance(place);
        if clearance > farthest.0 {
            farthest = (clearance, Some(place));
        }
        if clearance > site.reach * CLEAR {
            break;
        }
    }
    farthest.1
}

impl Site {
    fn new(square: Square) -> Self {
        let places = square.places();
        let (middle, reach) = places.middle();
        let earth = PlaceBox { west: -1_800_000_000, south: -900_000_000, east: 1_800_000_000, north: 900_000_000 };
        let PlaceBox { west, south, east, north } = places;
        let by = MARGIN as i32;
        let grown = PlaceBox {
            west: west.saturating_sub(by),
            south: south.saturating_sub(by),
            east: east.saturating_add(by),
            north: north.saturating_add(by),
        };
        let on_earth = places.intersection(&earth);
        Self { places, middle, reach: reach as f64 + MARGIN, on_earth, grown: grown.degrees() }
    }

    /// Whether an edge has a point in the square; also true for some that pass within a few units.
    fn touches(&self, edge: &Edge) -> bool {
        let [a, b] = edge.ends.map(|end| vector(self.middle, end));
        distance(a, b) <= self.reach
    }
}
