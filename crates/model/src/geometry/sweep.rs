//! One sweep over the edges of all rings, from south to north: finds the first fault of their arrangement, or else the
//! ring in which each ring lies. O(n log n) for n vertices in every case.
//!
//! The sweep line is level but for an infinitesimal tilt that makes it meet the points of one
//! latitude from west to east, so no edge is level with it, and each edge has a lower and an upper
//! end. The *status* holds the edges that the line cuts, from west to east. It is kept by exact
//! predicates on vertices alone; points where edges cross are never computed, because an edge that
//! properly crosses another is a fault, and the two are neighbours in the status before the line
//! reaches the crossing (Shamos and Hoey, 1976). Hence all edges in the status are in true order at
//! all times, and whatever touches, touches at a vertex of at least one of them.
//!
//! At each place with vertices, the edges through it form one block of the status: those that end
//! there, and at most one that passes through (two would have crossed). They are followed by those
//! that begin. There:
//! * a ring that occurs twice touches itself;
//! * each ring contributes two rays. Going round the place, rings do not cross exactly if their rays
//!   nest like parentheses;
//! * rings of one polygon that touch are joined in a union-find, the place once for all of them. If
//!   two are already joined, the graph of rings and touching places has a cycle, and cycles are what
//!   cuts an interior in pieces;
//! * a ring whose lowest vertex this is opens: just above, the edge west of it shows in which ring it lies.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use robust::orient2d;

use super::area::coord;

/// A vertex of a ring that differs from the one before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vertex {
    pub(super) at: [f64; 2],
    pub(super) ring: u32,
    /// Index of the position in the ring of the input.
    pub(super) index: u32,
    pub(super) previous: u32,
    pub(super) next: u32,
}

/// A ring, its polygon, and that polygon's shell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    pub(super) polygon: u32,
    pub(super) shell: u32,
    /// Index of its first vertex.
    pub(super) first: u32,
}

/// The first fault; the numbers are vertices, for an edge its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Crossing(u32, u32),
    Overlap(u32, u32),
    VertexCrossing(u32, u32),
    SelfTouch(u32, u32),
    Disconnected(u32),
}

/// The innermost ring around each ring, or the first fault from the south.
pub(super) fn parents(vertices: &[Vertex], rings: &[Ring]) -> Result<Vec<Option<u32>>, Fault> {
    let mut order: Vec<u32> = (0..vertices.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| lower(&vertices[a as usize].at, &vertices[b as usize].at));
    let mut sweep = Sweep {
        vertices,
        rings,
        status: BTreeSet::new(),
        opened: vec![None; rings.len()],
        joined: (0..rings.len() as u32).collect(),
    };
    for here in order.chunk_by(|&a, &b| vertices[a as usize].at == vertices[b as usize].at) {
        sweep.step(here)?;
    }
    Ok(sweep.opened.iter().map(|opened| opened.and_then(|opened| opened.parent)).collect())
}

/// Order in which the sweep meets points. Coordinates are finite and never -0.0.
fn lower(a: &[f64; 2], b: &[f64; 2]) -> Ordering {
    a[1].total_cmp(&b[1]).then(a[0].total_cmp(&b[0]))
}

/// Positive if `point` is left of the way from `a` to `b`: west of an edge from its lower end up.
fn side(a: [f64; 2], b: [f64; 2], point: [f64; 2]) -> f64 {
    orient2d(coord(a), coord(b), coord(point))
}

/// An edge in the status, or a point to search for in it.
#[derive(Clone, Copy, Debug)]
struct Edge {
    low: [f64; 2],
    high: [f64; 2],
    /// Index of its first vertex in the ring's direction. For a point, its order relative to an edge through it:
    /// [`BEFORE`] or [`AFTER`].
    first: u32,
    /// Whether the ring ascends along it.
    upward: bool,
}

const BEFORE: u32 = u32::MAX;
const AFTER: u32 = u32::MAX - 1;

impl Edge {
    fn point(at: [f64; 2], first: u32) -> Self {
        Self { low: at, high: at, first, upward: true }
    }

    fn is_point(&self) -> bool {
        self.first >= AFTER
    }

    fn contains(&self, point: [f64; 2]) -> bool {
        side(self.low, self.high, point) == 0.0
    }

    /// Position of this edge relative to `other`, whose lower end is not below this one's: `Less` is west.
    fn seen_from(&self, other: &Self) -> Ordering {
        let mut other_is_west = side(self.low, self.high, other.low);
        if other_is_west == 0.0 {
            match other.first {
                BEFORE => return Ordering::Greater,
                AFTER => return Ordering::Less,
                _ => {}
            }
            other_is_west = if lower(&other.high, &self.high).is_le() {
                side(self.low, self.high, other.high)
            } else {
                -side(other.low, other.high, self.high)
            };
        }
        if other_is_west > 0.0 {
            Ordering::Greater
        } else if other_is_west < 0.0 {
            Ordering::Less
        } else {
            // They overlap, which is about to be detected, or are identical.
            self.first.cmp(&other.first)
        }
    }
}

/// Order from west to east, for edges that the sweep line cuts at the same time.
impl Ord for Edge {
    fn cmp(&self, other: &Self) -> Ordering {
        if other.is_point() || (!self.is_point() && lower(&self.low, &other.low).is_le()) {
            self.seen_from(other)
        } else {
            other.seen_from(self).reverse()
        }
    }
}

impl PartialOrd for Edge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Edge {
    fn eq(&self, other: &Self) -> bool {
        self.first == other.first
    }
}

impl Eq for Edge {}

/// State of a ring from its lowest vertex on.
#[derive(Clone, Copy, Debug)]
struct Opened {
    /// Whether the ring ascends along its western edge there. The interior is east of that edge, so it is east of every
    /// edge that has the same direction.
    upward: bool,
    parent: Option<u32>,
}

struct Sweep<'a> {
    vertices: &'a [Vertex],
    rings: &'a [Ring],
    status: BTreeSet<Edge>,
    opened: Vec<Option<Opened>>,
    /// Union-find over rings.
    joined: Vec<u32>,
}

impl Sweep<'_> {
    /// Moves the line across a place and the vertices there.
    fn step(&mut self, here: &[u32]) -> Result<(), Fault> {
        let at = self.vertices[here[0] as usize].at;
        let below: Vec<Edge> =
            self.status.range(Edge::point(at, BEFORE)..).take_while(|edge| edge.contains(at)).copied().collect();
        let mut passing = below.iter().filter(|edge| edge.high != at);
        let through = passing.next().copied();
        if let (Some(a), Some(b)) = (through, passing.next()) {
            return Err(Fault::Crossing(a.first, b.first));
        }
        for edge in below.iter().filter(|edge| edge.high == at) {
            self.status.remove(edge);
        }
        let west = self.status.range(..Edge::point(at, BEFORE)).next_back().copied();
        let east = self.status.range(Edge::point(at, AFTER)..).next().copied();

        let mut above: Vec<Edge> = here.iter().flat_map(|&vertex| self.beginning_at(vertex)).collect();
        let beginning = above.len();
        above.extend(through);
        above.sort_unstable();
        if let Some(pair) = above.windows(2).find(|pair| overlap(&pair[0], &pair[1])) {
            return Err(Fault::Overlap(pair[0].first, pair[1].first));
        }
        self.check_rings(here, through, &below, &above)?;
        if beginning > 0 {
            self.open(west, &above);
            self.status.extend(above.iter().filter(|edge| Some(edge.first) != through.map(|edge| edge.first)));
        }
        let neighbours = match (above.first(), above.last()) {
            (Some(&first), Some(&last)) => [(west, Some(first)), (Some(last), east)],
            _ => [(west, east), (None, None)],
        };
        for pair in neighbours {
            if let (Some(a), Some(b)) = pair
                && cross(&a, &b)
            {
                return Err(Fault::Crossing(a.first, b.first));
            }
        }
        Ok(())
    }

    fn ring_of(&self, edge: &Edge) -> u32 {
        self.vertices[edge.first as usize].ring
    }

    /// The edges of a vertex's ring that ascend from the vertex.
    fn beginning_at(&self, vertex: u32) -> impl Iterator<Item = Edge> + use<> {
        let Vertex { at, previous, next, .. } = self.vertices[vertex as usize];
        let (before, after) = (self.vertices[previous as usize].at, self.vertices[next as usize].at);
        let out = lower(&at, &after).is_lt().then_some(Edge { low: at, high: after, first: vertex, upward: true });
        let back =
            lower(&at, &before).is_lt().then_some(Edge { low: at, high: before, first: previous, upward: false });
        out.into_iter().chain(back)
    }

    /// Checks that each ring passes the place once, that none crosses another, and that no two of a polygon meet a
    /// second time.
    fn check_rings(
        &mut self,
        here: &[u32],
        through: Option<Edge>,
        below: &[Edge],
        above: &[Edge],
    ) -> Result<(), Fault> {
        if here.len() == 1 && through.is_none() {
            return Ok(());
        }
        let mut met: Vec<(u32, u32)> =
            here.iter().map(|&vertex| (self.vertices[vertex as usize].ring, vertex)).collect();
        met.extend(through.map(|edge| (self.ring_of(&edge), edge.first)));
        met.sort_unstable();
        if let Some(pair) = met.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (a, b) = (pair[0].1, pair[1].1);
            return Err(if here.contains(&a) { Fault::SelfTouch(a, b) } else { Fault::SelfTouch(b, a) });
        }
        let mut open: Vec<u32> = Vec::new();
        for ray in below.iter().chain(above.iter().rev()) {
            let ring = self.ring_of(ray);
            if open.last() == Some(&ring) {
                open.pop();
            } else {
                open.push(ring);
            }
        }
        if let [a, b, ..] = open[..] {
            let vertex_of = |ring| met.iter().find(|met| met.0 == ring).map_or(here[0], |met| met.1);
            return Err(Fault::VertexCrossing(vertex_of(a), vertex_of(b)));
        }
        // Rings are numbered polygon by polygon, so those of one polygon are neighbours.
        for pair in met.windows(2) {
            let ((a, _), (b, _)) = (pair[0], pair[1]);
            if self.rings[a as usize].polygon == self.rings[b as usize].polygon && !self.join(a, b) {
                return Err(Fault::Disconnected(here[0]));
            }
        }
        Ok(())
    }

    /// Joins the sets of two rings. Returns whether they were separate before.
    fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.joined[a as usize] = b;
        a != b
    }

    fn root(&mut self, mut ring: u32) -> u32 {
        while self.joined[ring as usize] != ring {
            let up = self.joined[self.joined[ring as usize] as usize];
            self.joined[ring as usize] = up;
            ring = up;
        }
        ring
    }

    /// Opens the rings that begin at a place. Of the edges above it, from west to east, the first of such a ring has
    /// the ring's outside on its west: the inside of the ring of the edge before it, or the ring around that one.
    fn open(&mut self, west: Option<Edge>, above: &[Edge]) {
        let mut before = west;
        for &edge in above {
            let ring = self.ring_of(&edge);
            if self.opened[ring as usize].is_none() {
                let parent = before.and_then(|before| {
                    let around = self.ring_of(&before);
                    let opened = self.opened[around as usize]
                        .expect("an edge is in the status only after its ring's lowest vertex");
                    if before.upward == opened.upward { Some(around) } else { opened.parent }
                });
                self.opened[ring as usize] = Some(Opened { upward: edge.upward, parent });
            }
            before = Some(edge);
        }
    }
}

/// Whether two edges that ascend from one point have the same direction.
fn overlap(a: &Edge, b: &Edge) -> bool {
    // The one that begins at the point, or any if both do.
    let (from, other) = if lower(&a.low, &b.low).is_ge() { (a, b) } else { (b, a) };
    side(from.low, from.high, other.high) == 0.0
}

/// Whether the edges have a point in common that is an end of neither.
fn cross(a: &Edge, b: &Edge) -> bool {
    let apart = |x: f64, y: f64| (x > 0.0 && y < 0.0) || (x < 0.0 && y > 0.0);
    apart(side(a.low, a.high, b.low), side(a.low, a.high, b.high))
        && apart(side(b.low, b.high, a.low), side(b.low, b.high, a.high))
}
