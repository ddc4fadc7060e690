//! What there is in a square, for it to become a leaf or to be quartered.
//!
//! Of a square with too many edges for a leaf, but not very many, the quarters are looked into from what
//! was found in it, without asking the index and whole shapes again: see [`Sight::narrow`].

use std::ops::ControlFlow;

use super::border::{Edge, MARGIN, distance, rounded, vector};
use super::leaf::Draft;
use super::square::{PlaceBox, Square};
use crate::index::VersionId;
use watchtower_model::Span;
use watchtower_model::geometry::geodesic::reach_m;
use watchtower_model::geometry::{BoundingBox, Circle, Shape};
use watchtower_model::{BEGINNING, END, GeofenceId, Millis, Place};

/// Squares that are touched by more edges are quartered. With 8 or 16 the kernel takes about as long, and four
/// times the leaves or twice as many (measured).
const MAX_EDGES: usize = 24;
/// A circle is as dear to decide as so many edges.
const CIRCLE_EDGES: usize = 4;
/// Half a side of the square times this is far from an edge.
const CLEAR: f64 = 1.0 / 16.0;
/// Squares of 2^this units (some 6 m at the equator) are not quartered, however many edges meet there.
const LEAST_LOG_SIZE: u32 = 9;
/// Of a square with more edges nothing is kept for its quarters.
const MAX_SEEN: usize = 256;

/// A version of a geofence that may have to do with a square.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub version: VersionId,
    /// Of which geofence.
    pub geofence: GeofenceId,
    /// When it is in force.
    pub span: Span,
    /// Where.
    pub shape: &'a Shape,
}

/// Where candidates come from: all versions with a box that meets the bounds, some possibly twice, unless
/// told to stop.
pub trait Candidates {
    /// Shows them one by one.
    fn visit_meeting<'c>(&'c self, bounds: &BoundingBox, visit: impl FnMut(Candidate<'c>) -> ControlFlow<()>);
}

/// More edges than are kept.
pub(super) struct TooMany;

/// What is seen in a square at an instant.
#[derive(Debug)]
pub(super) struct Sight<'c> {
    /// It stays the same during this: no version with a box there begins or ends.
    span: Span,
    /// Versions that cover every place.
    covers: Vec<(GeofenceId, VersionId)>,
    /// Circles whose border may touch the square.
    circles: Vec<(GeofenceId, VersionId, &'c Circle)>,
    /// Areas with edges in the square, and where these end among all.
    areas: Vec<(Candidate<'c>, usize)>,
    edges: Vec<Edge>,
}

impl Default for Sight<'_> {
    fn default() -> Self {
        let span = Span { from: BEGINNING, until: END };
        Self { span, covers: Vec::new(), circles: Vec::new(), areas: Vec::new(), edges: Vec::new() }
    }
}

/// A square and what it takes to tell what touches it.
struct Site {
    places: PlaceBox,
    /// The middle, and half a side and the margin for rounded edges.
    middle: Place,
    reach: f64,
    /// The part of the square that is on the Earth.
    on_earth: PlaceBox,
    /// The square and a little around it, degrees.
    grown: BoundingBox,
}

impl<'c> Sight<'c> {
    /// Looks into a square.
    pub(super) fn look(&mut self, square: Square, t: Millis, candidates: &'c impl Candidates) -> Result<(), TooMany> {
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

    /// What of this is seen in a part of the square.
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

    /// Whether it is little enough for a leaf.
    pub(super) fn fits(&self, square: Square) -> bool {
        self.edges.len() + CIRCLE_EDGES * self.circles.len() <= MAX_EDGES || square.log_size <= LEAST_LOG_SIZE
    }

    /// Writes the leaf, and says when it holds.
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

    /// The areas with edges in the square, and which these are.
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
            // One may have two boxes.
            None if self.circles.iter().any(|&(_, seen, _)| seen == version) => {}
            None => self.circles.push((geofence, version, circle)),
        }
    }

    /// An area whose edges from `seen` on, ascending, may touch the square: those that do stay.
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

/// Whether the box around an edge and another have a point in common: of most edges no more need be asked.
fn may_meet(b: &BoundingBox, ([x, y], [u, v]): ([f64; 2], [f64; 2])) -> bool {
    !((x < b.west) & (u < b.west)
        | (x > b.east) & (u > b.east)
        | (y < b.south) & (v < b.south)
        | (y > b.north) & (v > b.north))
}

/// Whether a span holds `t`; `calm` is cut down to where that does not change.
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

/// Whether a circle covers all of a square on the Earth or nothing of it; neither can be said if its
/// border comes near.
fn circle_covers(circle: &Circle, site: &Site) -> Option<bool> {
    let (middle, reach) = site.on_earth.middle();
    let (covered, margin_m) = circle.standing(middle.lon_degrees(), middle.lat_degrees());
    (margin_m > reach_m(reach as f64 + MARGIN)).then_some(covered)
}

/// A place far enough from all edges for them not to matter: then coverage changes only across edges that are
/// crossed. The first of some that is as far as [`CLEAR`], or else the farthest.
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

    /// Whether an edge has a point in the square; of those that pass by at a few units, some.
    fn touches(&self, edge: &Edge) -> bool {
        let [a, b] = edge.ends.map(|end| vector(self.middle, end));
        distance(a, b) <= self.reach
    }
}
