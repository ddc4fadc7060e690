//! Shapes across the antimeridian, cut there as RFC 7946 says (section 3.1.9).
//!
//! Longitudes end at 180 degrees, and a shape that goes on is drawn in one of two ways: its longitudes run on, 181 for
//! -179, or an edge leads from 179 to -179, which taken by its coordinates would go round the world the other way.
//! So an edge that spans more than 180 degrees means the short way. One of exactly 360 degrees does not: from
//! -180 to 180 it follows the parallel, as the edge of a polar cap or of a map of the world.
//!
//! Vertices become [`Turned`]: degrees as given, and how often the ring went round before. The cut at a meridian breaks
//! each ring into chains that lie on one side. On the meridian the interior lies between the first and the second end
//! of a chain from the south, between the third and the fourth, and so on: joined like that, chains are rings again,
//! and each of them is a shell, for what lies beyond the meridian is outside of all and connected.

use std::collections::HashMap;

use super::{GeometryError, VertexRef};

type Rings = Vec<Vec<[f64; 2]>>;

/// Longitudes may run on up to here.
pub(super) const REACH: f64 = 540.0;

/// A vertex: longitude within -180 to 180 and latitude, and the number of the world's copy that it is in.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Turned {
    lon: f64,
    lat: f64,
    turn: i32,
}

type Ring = Vec<Turned>;

/// Polygons whose longitudes run on.
#[derive(Clone, Debug)]
pub(super) struct Across(Vec<Vec<Ring>>);

/// A piece of a ring on one side of a meridian, from a point of it to another.
struct Chain {
    points: Ring,
}

/// The polygons with longitudes that run on, if they lie across the antimeridian. What is wrong with rings one by one
/// is left to be found in the polygons as they are.
///
/// # Errors
/// If a ring goes around a pole, or is wider than the world.
pub(super) fn unwrap(polygons: &[Rings]) -> Result<Option<Across>, GeometryError> {
    if !polygons.iter().flatten().any(|ring| runs_on(ring)) || !polygons.iter().flatten().all(|ring| is_ring(ring)) {
        return Ok(None);
    }
    let mut across = Vec::with_capacity(polygons.len());
    for (polygon, rings) in polygons.iter().enumerate() {
        let mut turned: Vec<Ring> = Vec::with_capacity(rings.len());
        for (ring, positions) in rings.iter().enumerate() {
            let vertex = |vertex: usize| VertexRef { polygon, ring, vertex, at: positions[vertex] };
            let own = turn(positions).map_err(|at| GeometryError::AroundPole(vertex(at)))?;
            let (west, east) = extent(&own);
            if east - west > 360.0 {
                return Err(GeometryError::TooWide(vertex(0)));
            }
            let shell = turned.first().map(|shell| extent(shell));
            turned.push(match shell {
                None => own,
                Some(shell) => beside(own, shell),
            });
        }
        across.push(turned);
    }
    Ok(Some(Across(across)))
}

/// Whether an edge spans more than half of the world, but not all of it, or a longitude lies beyond 180 degrees.
fn runs_on(ring: &[[f64; 2]]) -> bool {
    let long = |edge: &[[f64; 2]]| {
        let span = (edge[1][0] - edge[0][0]).abs();
        span > 180.0 && span < 360.0
    };
    ring.iter().any(|[lon, _]| lon.abs() > 180.0) || ring.windows(2).any(long)
}

fn is_ring(ring: &[[f64; 2]]) -> bool {
    ring.len() >= 4
        && ring.first() == ring.last()
        && ring.iter().all(|[lon, lat]| lon.abs() <= REACH && lat.abs() <= 90.0)
}

/// The ring with longitudes that run on; or the vertex from which it goes round the world and does not come back.
///
/// An edge from -180 to 180 follows its parallel around the world. If the ring does not come back so, but does when
/// both are the same meridian, as rings do that touch the antimeridian beside a place where they cross it, they are.
fn turn(ring: &[[f64; 2]]) -> Result<Ring, usize> {
    turn_below(ring, 360.0).or_else(|last_jump| turn_below(ring, 360.5).map_err(|_| last_jump))
}

/// Edges that span more than half of the world, and less than `around` degrees, cross the antimeridian.
fn turn_below(ring: &[[f64; 2]], around: f64) -> Result<Ring, usize> {
    let (mut turns, mut last_jump) = (0, 0);
    let mut turned = Vec::with_capacity(ring.len());
    for (at, &[lon, lat]) in ring.iter().enumerate() {
        if let Some([before, _]) = at.checked_sub(1).map(|before| ring[before]) {
            let span = lon - before;
            if span.abs() > 180.0 && span.abs() < around {
                turns -= span.signum() as i32;
                last_jump = at - 1;
            }
        }
        let beyond = if lon > 180.0 { 1 } else { -i32::from(lon < -180.0) };
        turned.push(Turned { lon: lon - 360.0 * f64::from(beyond), lat, turn: turns + beyond });
    }
    if turns == 0 { Ok(turned) } else { Err(last_jump) }
}

/// A hole as far to the east or west as its shell is.
fn beside(mut hole: Ring, (west, east): (f64, f64)) -> Ring {
    let (from, to) = extent(&hole);
    let is_within = |turns: i32| {
        let aside = 360.0 * f64::from(turns);
        west <= from + aside && to + aside <= east
    };
    if let Some(turns) = [0, 1, -1, 2, -2].into_iter().find(|turns| is_within(*turns)) {
        hole.iter_mut().for_each(|vertex| vertex.turn += turns);
    }
    hole
}

fn extent(ring: &[Turned]) -> (f64, f64) {
    ring.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(west, east), vertex| {
        (west.min(vertex.degrees()), east.max(vertex.degrees()))
    })
}

impl Turned {
    /// Longitude that runs on.
    fn degrees(self) -> f64 {
        self.lon + 360.0 * f64::from(self.turn)
    }

    /// Degrees east of the meridian between the copies `turn` and `turn + 1`: exactly 0 on it, and for its
    /// neighbours rounded once.
    fn east_of(self, turn: i32) -> f64 {
        if self.turn <= turn {
            self.lon - 180.0 - 360.0 * f64::from(turn - self.turn)
        } else {
            self.lon + 180.0 + 360.0 * f64::from(self.turn - turn - 1)
        }
    }
}

impl Across {
    /// The polygons with longitudes that run on.
    pub(super) fn degrees(&self) -> Vec<Rings> {
        let ring = |ring: &Ring| ring.iter().map(|vertex| [vertex.degrees(), vertex.lat]).collect();
        self.0.iter().map(|polygon| polygon.iter().map(ring).collect()).collect()
    }

    /// The polygons cut at the antimeridian. They have been found valid as they are.
    pub(super) fn cut(self) -> Vec<Rings> {
        let mut cut = Vec::new();
        for polygon in self.0 {
            let turns = polygon.iter().flatten().map(|vertex| vertex.turn);
            let (first, last) = (turns.clone().min().unwrap_or(0), turns.max().unwrap_or(0));
            let mut rest = vec![polygon];
            for turn in first..last {
                let [west, east] = [-1.0, 1.0].map(|side| rest.iter().flat_map(|of| on_side(of, turn, side)).collect());
                cut.extend(within(west, turn));
                rest = east;
            }
            cut.extend(within(rest, last));
        }
        cut
    }
}

/// Polygons that lie in one copy of the world, in its degrees.
fn within(polygons: Vec<Vec<Ring>>, turn: i32) -> impl Iterator<Item = Rings> {
    let vertex = move |vertex: Turned| {
        // On the meridian that two copies share.
        let lon = match vertex.turn - turn {
            0 => vertex.lon,
            1.. => 180.0,
            ..0 => -180.0,
        };
        [lon, vertex.lat]
    };
    polygons
        .into_iter()
        .map(move |rings| rings.into_iter().map(|ring| ring.into_iter().map(vertex).collect()).collect())
}

/// What of a polygon lies west (`side` is -1) or east (1) of the meridian behind the copy `turn`.
fn on_side(polygon: &[Ring], turn: i32, side: f64) -> Vec<Vec<Ring>> {
    let (mut shells, mut holes, mut chains) = (Vec::new(), Vec::new(), Vec::new());
    for (index, ring) in polygon.iter().enumerate() {
        let is_beyond = |vertex: &Turned| vertex.east_of(turn) * side < 0.0;
        let touches = ring[1..].iter().filter(|vertex| vertex.east_of(turn) == 0.0).count();
        if touches <= 1 && !ring.iter().any(is_beyond) {
            if index == 0 { shells.push(ring.clone()) } else { holes.push(ring.clone()) }
        } else {
            chains.extend(chains_of(&with_crossings(ring, turn), turn, side));
        }
    }
    shells.extend(joined(chains, turn));
    let mut polygons: Vec<Vec<Ring>> = shells.into_iter().map(|shell| vec![shell]).collect();
    for hole in holes {
        let around = match polygons.len() {
            0 | 1 => 0,
            _ => (0..polygons.len()).max_by_key(|&at| inside(&hole, &polygons[at][0])).unwrap_or(0),
        };
        if let Some(polygon) = polygons.get_mut(around) {
            polygon.push(hole);
        }
    }
    polygons
}

/// The vertices of a ring, the closing one left out, and the points where its edges cross the meridian.
fn with_crossings(ring: &[Turned], turn: i32) -> Ring {
    let mut points = Vec::with_capacity(ring.len() + 4);
    for edge in ring.windows(2) {
        points.push(edge[0]);
        let [from, to] = [edge[0], edge[1]].map(|vertex| vertex.east_of(turn));
        if from * to < 0.0 {
            // From west to east whichever way it is drawn, so that both sides have the same point.
            let (a, b) = if from < to { (edge[0], edge[1]) } else { (edge[1], edge[0]) };
            let part = -a.east_of(turn) / (b.east_of(turn) - a.east_of(turn));
            points.push(Turned { lon: 180.0, lat: a.lat + (b.lat - a.lat) * part, turn });
        }
    }
    points
}

/// The pieces of a ring strictly on one side, with the points of the meridian where they begin and end.
fn chains_of(points: &[Turned], turn: i32, side: f64) -> Vec<Chain> {
    let on: Vec<usize> = (0..points.len()).filter(|&at| points[at].east_of(turn) == 0.0).collect();
    let mut chains = Vec::new();
    for (index, &begin) in on.iter().enumerate() {
        let end = on.get(index + 1).copied().unwrap_or(on[0] + points.len());
        if end > begin + 1 && points[(begin + 1) % points.len()].east_of(turn) * side > 0.0 {
            chains.push(Chain { points: (begin..=end).map(|at| points[at % points.len()]).collect() });
        }
    }
    chains
}

/// The rings that chains become where the interior lies between each first and second end from the south.
fn joined(chains: Vec<Chain>, turn: i32) -> Vec<Ring> {
    // An end: the number of the chain, and whether it is its last point.
    let mut ends: Vec<(usize, bool)> = (0..chains.len()).flat_map(|chain| [(chain, false), (chain, true)]).collect();
    let key = |&(chain, is_last): &(usize, bool)| {
        let points = &chains[chain].points;
        let (at, next) = if is_last { (points.len() - 1, points.len() - 2) } else { (0, 1) };
        let away = points[next].east_of(turn).abs();
        (points[at].lat, (points[next].lat - points[at].lat) / away)
    };
    ends.sort_by(|a, b| {
        let ((lat_a, slope_a), (lat_b, slope_b)) = (key(a), key(b));
        lat_a.total_cmp(&lat_b).then(slope_a.total_cmp(&slope_b))
    });
    let mut partner = vec![[(0, false); 2]; chains.len()];
    for pair in ends.chunks_exact(2) {
        let [(a, a_last), (b, b_last)] = [pair[0], pair[1]];
        partner[a][usize::from(a_last)] = (b, b_last);
        partner[b][usize::from(b_last)] = (a, a_last);
    }
    let (mut rings, mut is_used) = (Vec::new(), vec![false; chains.len()]);
    for first in 0..chains.len() {
        let (mut ring, mut at, mut backwards) = (Ring::new(), first, false);
        while !is_used[at] {
            is_used[at] = true;
            let points = &chains[at].points;
            if backwards {
                ring.extend(points.iter().rev());
            } else {
                ring.extend(points);
            }
            // It was left at its last point, or at its first if it was taken backwards.
            (at, backwards) = partner[at][usize::from(!backwards)];
        }
        ring.dedup();
        rings.extend(simple(ring));
    }
    rings
}

/// The closed rings that a walk comes to, cut where it comes back to a vertex: there a hole touched its shell.
fn simple(walk: Ring) -> Vec<Ring> {
    let (mut rings, mut path) = (Vec::new(), Ring::new());
    let mut places: HashMap<[u64; 2], usize> = HashMap::new();
    let place = |vertex: &Turned| [vertex.degrees().to_bits(), vertex.lat.to_bits()];
    for vertex in walk {
        if let Some(&begin) = places.get(&place(&vertex)) {
            let mut ring = path.split_off(begin + 1);
            for vertex in &ring {
                places.remove(&place(vertex));
            }
            ring.insert(0, path[begin]);
            ring.push(path[begin]);
            rings.push(ring);
        } else {
            places.insert(place(&vertex), path.len());
            path.push(vertex);
        }
    }
    if let Some(&first) = path.first() {
        path.push(first);
        rings.push(path);
    }
    rings.retain(|ring| ring.len() >= 4);
    rings
}

/// How many vertices of a hole are inside a shell.
fn inside(hole: &[Turned], shell: &[Turned]) -> usize {
    let is_inside = |vertex: &&Turned| {
        let (x, y) = (vertex.degrees(), vertex.lat);
        let crosses = |edge: &&[Turned]| {
            let [(ax, ay), (bx, by)] = [edge[0], edge[1]].map(|vertex| (vertex.degrees(), vertex.lat));
            (ay > y) != (by > y) && x < ax + (bx - ax) * (y - ay) / (by - ay)
        };
        shell.windows(2).filter(crosses).count() % 2 == 1
    };
    hole.iter().filter(is_inside).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Shape;
    use crate::units::Place;

    fn covers(shape: &Shape, lon: f64, lat: f64) -> bool {
        shape.covers(Place::from_degrees(lon, lat))
    }

    fn cut(polygons: Vec<Rings>) -> Vec<Rings> {
        let Shape::Area(area) = Shape::from_polygons(polygons).unwrap() else { panic!("an area") };
        area.into()
    }

    #[test]
    fn a_box_is_cut_in_two_however_it_is_drawn() {
        let jumps = vec![[179.5, -1.0], [-179.5, -1.0], [-179.5, 1.0], [179.5, 1.0], [179.5, -1.0]];
        let runs_on = vec![[179.5, -1.0], [180.5, -1.0], [180.5, 1.0], [179.5, 1.0], [179.5, -1.0]];
        let from_the_west = vec![[-180.5, -1.0], [-179.5, -1.0], [-179.5, 1.0], [-180.5, 1.0], [-180.5, -1.0]];
        for ring in [jumps, runs_on, from_the_west] {
            let polygons = cut(vec![vec![ring.clone()]]);
            let mut lons: Vec<Vec<f64>> =
                polygons.iter().map(|polygon| polygon[0].iter().map(|at| at[0]).collect()).collect();
            lons.iter_mut().for_each(|lons| {
                lons.sort_by(f64::total_cmp);
                lons.dedup();
            });
            lons.sort_by(|a, b| a[0].total_cmp(&b[0]));
            assert_eq!(lons, [vec![-180.0, -179.5], vec![179.5, 180.0]], "{ring:?}");
            let shape = Shape::from_polygons(vec![vec![ring]]).unwrap();
            for (lon, inside) in
                [(179.4, false), (179.6, true), (180.0, true), (-180.0, true), (-179.6, true), (0.0, false)]
            {
                assert_eq!(covers(&shape, lon, 0.5), inside, "{lon}");
            }
        }
    }

    #[test]
    fn a_cap_and_the_world_stay() {
        let cap = vec![[-180.0, -90.0], [180.0, -90.0], [180.0, -60.0], [-180.0, -60.0], [-180.0, -90.0]];
        let half = vec![[-90.0, 0.0], [90.0, 0.0], [90.0, 10.0], [-90.0, 10.0], [-90.0, 0.0]];
        for ring in [cap, half] {
            assert_eq!(cut(vec![vec![ring.clone()]]), [vec![ring]]);
        }
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let around = vec![[-150.0, 70.0], [-30.0, 70.0], [90.0, 75.0], [170.0, 70.0], [-150.0, 70.0]];
        let fault = Shape::from_polygons(vec![vec![around]]).unwrap_err();
        assert!(matches!(fault, GeometryError::AroundPole(VertexRef { vertex: 3, .. })), "{fault}");
        let wide =
            vec![[-190.0, 0.0], [-10.0, 0.0], [170.0, 0.0], [200.0, 9.0], [20.0, 9.0], [-160.0, 9.0], [-190.0, 0.0]];
        let fault = Shape::from_polygons(vec![vec![wide]]).unwrap_err();
        assert!(matches!(fault, GeometryError::TooWide(_)), "{fault}");
        let bow_tie = vec![[179.0, 0.0], [-179.0, 1.0], [-179.0, 0.0], [179.0, 1.0], [179.0, 0.0]];
        let fault = Shape::from_polygons(vec![vec![bow_tie]]).unwrap_err();
        assert!(matches!(fault, GeometryError::Crossing(a, b) if a.vertex.min(b.vertex) == 0), "{fault}");
        let far = vec![[600.0, 0.0], [601.0, 0.0], [601.0, 1.0], [600.0, 0.0]];
        assert!(matches!(Shape::from_polygons(vec![vec![far]]), Err(GeometryError::Coordinates(_))));
    }

    /// Any valid polygon drawn across the meridian covers what it covers 90 degrees farther west. The places lie on no
    /// edge: the point where an edge is cut is rounded.
    #[test]
    fn a_cut_shape_covers_what_it_would_elsewhere() {
        let mut random = 0x9e37_79b9_u64;
        let mut next = |n: i64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % n as u64) as i64
        };
        let (mut cases, mut pieces, mut refused) = (0, 0, 0);
        for _ in 0..20_000 {
            let mut ring = |most: i64, aside: i64| -> Vec<[f64; 2]> {
                let count = 3 + next(most);
                let mut ring: Vec<[f64; 2]> =
                    (0..count).map(|_| [(next(9) - 4 + aside) as f64 / 2.0, (next(9) - 4) as f64 / 2.0]).collect();
                ring.push(ring[0]);
                ring
            };
            let (shell, hole) = (ring(7, 0), ring(2, 0));
            let moved = |by: f64, ring: &[[f64; 2]]| ring.iter().map(|[lon, lat]| [lon + by, *lat]).collect::<Vec<_>>();
            let rings = if Shape::from_polygons(vec![vec![shell.clone(), hole.clone()]]).is_ok() {
                vec![shell, hole]
            } else {
                vec![shell]
            };
            let Ok(plain) = Shape::from_polygons(vec![rings.iter().map(|ring| moved(90.0, ring)).collect()]) else {
                continue;
            };
            let runs_on: Rings = rings.iter().map(|ring| moved(180.0, ring)).collect();
            let jumps: Rings = (runs_on.iter())
                .map(|ring| {
                    ring.iter().map(|[lon, lat]| [if *lon > 180.0 { lon - 360.0 } else { *lon }, *lat]).collect()
                })
                .collect();
            for drawn in [runs_on, jumps] {
                let Ok(shape) = Shape::from_polygons(vec![drawn.clone()]) else {
                    refused += 1; // a hole that touched an edge between its ends
                    continue;
                };
                cases += 1;
                pieces += shape.polygons().count();
                for (x, y) in (-9..=9).flat_map(|x| {
                    (-9..=9).map(move |y| (f64::from(x) / 4.0 + 0.012_345_7, f64::from(y) / 4.0 + 0.009_876_5))
                }) {
                    let lon = if x > 0.0 { x - 180.0 } else { x + 180.0 };
                    assert_eq!(covers(&shape, lon, y), covers(&plain, x + 90.0, y), "{x} {y} of {drawn:?}: {shape:?}");
                }
            }
        }
        assert!(cases > 2_000 && pieces > cases * 3 / 2, "{cases} shapes, {pieces} pieces");
        assert!(refused * 100 < cases, "{refused} refused, {cases} not");
    }
}
