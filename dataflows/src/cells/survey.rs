//! Making a leaf: what there is in a square, or that it must be quartered.

use std::ops::ControlFlow;

use super::border::{MARGIN, distance, rounded, vector};
use super::leaf::Draft;
use super::square::{PlaceBox, Square};
use crate::geometry::geodesic::reach_m;
use crate::geometry::{Area, BoundingBox, Circle, Shape};
use crate::index::VersionId;
use crate::model::{BEGINNING, END, GeofenceId, Millis, Place};
use crate::versions::Span;

/// Squares that are touched by more edges are quartered. With 8 or 16 the kernel takes about as long, and four
/// times the leaves or twice as many (measured).
const MAX_EDGES: usize = 24;
/// A circle is as dear to decide as so many edges.
const CIRCLE_EDGES: usize = 4;
/// Half a side of the square times this is far from an edge.
const CLEAR: f64 = 1.0 / 16.0;
/// Squares of 2^this units (some 6 m at the equator) are not quartered, however many edges meet there.
const LEAST_LOG_SIZE: u32 = 9;

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
    fn visit_meeting(&self, bounds: &BoundingBox, visit: impl FnMut(Candidate<'_>) -> ControlFlow<()>);
}

/// Too many edges for one leaf.
pub(super) struct TooMany;

/// Looks around in squares; keeps what it works with.
#[derive(Debug, Default)]
pub(super) struct Surveyor {
    pub(super) draft: Draft,
    edges: Vec<u32>,
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

impl Surveyor {
    /// Drafts a leaf for an instant, or finds that its square wants quartering. The leaf holds during the
    /// span that is returned: as long as no version with a box here begins or ends.
    pub(super) fn survey(&mut self, square: Square, t: Millis, candidates: &impl Candidates) -> Result<Span, TooMany> {
        self.draft.clear();
        let site = Site::new(square);
        let mut span = Span { from: BEGINNING, until: END };
        let most = if square.log_size > LEAST_LOG_SIZE { MAX_EDGES } else { usize::MAX };
        let mut edges = 0;
        candidates.visit_meeting(&site.places.degrees(), |candidate| {
            if during(candidate.span, t, &mut span) {
                edges += self.add(candidate, &site, most.saturating_sub(edges));
            }
            if edges > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if edges > most { Err(TooMany) } else { Ok(span) }
    }

    /// Adds a version to the draft; returns how many edges that takes, any number above `most` if it is
    /// more than that.
    fn add(&mut self, candidate: Candidate<'_>, site: &Site, most: usize) -> usize {
        let Candidate { version, geofence, shape, .. } = candidate;
        match shape {
            Shape::Circle(circle) => match circle_covers(circle, site) {
                Some(true) => self.draft.add_cover(geofence, version),
                Some(false) => {}
                None if self.draft.has_circle(version) => {}
                None => {
                    self.draft.add_circle(geofence, version, circle);
                    return CIRCLE_EDGES;
                }
            },
            Shape::Area(area) => {
                self.edges.clear();
                let grown = &site.grown;
                for edge in area.edges_between(grown.south, grown.north) {
                    let ends = area.edge(edge);
                    if may_meet(grown, ends) && site.touches(ends) && !self.edges.contains(&edge) {
                        self.edges.push(edge);
                        if self.edges.len() > most {
                            return self.edges.len();
                        }
                    }
                }
                if !self.edges.is_empty() {
                    self.edges.sort_unstable();
                    let reference = reference(area, &self.edges, site).map(|place| (place, shape.covers(place)));
                    self.draft.add_area(geofence, version, area, &self.edges, reference);
                    return self.edges.len();
                }
                if shape.covers(site.middle) {
                    self.draft.add_cover(geofence, version);
                }
            }
        }
        0
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
fn reference(area: &Area, edges: &[u32], site: &Site) -> Option<Place> {
    let PlaceBox { west, south, east, north } = site.places;
    let quarter =
        |from: i32, to: i32, quarters: i64| (i64::from(from) + (i64::from(to) - i64::from(from)) * quarters / 4) as i32;
    let corners = [(1, 1), (3, 1), (1, 3), (3, 3)];
    let corners = corners.map(|(x, y)| Place { lon: quarter(west, east, x), lat: quarter(south, north, y) });
    let clearance = |place: Place| {
        let to = |at| vector(place, rounded(at));
        edges.iter().map(|&edge| area.edge(edge)).map(|(a, b)| distance(to(a), to(b))).fold(f64::INFINITY, f64::min)
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
    fn touches(&self, (a, b): ([f64; 2], [f64; 2])) -> bool {
        distance(vector(self.middle, rounded(a)), vector(self.middle, rounded(b))) <= self.reach
    }
}
