//! Being inside without rounding, for pairs that doubles cannot decide.

use num_rational::{BigRational, Ratio};
use watchtower_model::Place;
use watchtower_model::geometry::Shape;

/// Half the distance from 1 to the next double: what one operation is off by at most, relatively.
const EPSILON: f64 = f64::EPSILON / 2.0;

/// PostGIS takes coordinates of places and vertices that are no farther apart than this for equal.
const SNAP: f64 = 1e-12;

/// Whether the polygons cover the place: it lies on an edge, or so many edges go up past it to the east
/// of it as do not go down. `Ratio` holds the doubles as they are.
pub(crate) fn covers(shape: &Shape, place: Place) -> bool {
    let point = [place.lon_degrees(), place.lat_degrees()];
    let mut odd = false;
    for (a, b) in edges(shape) {
        let (low, high) = if a[1] <= b[1] { (a, b) } else { (b, a) };
        if point[1] < low[1] || point[1] > high[1] {
            continue;
        }
        let side = side(low, high, point);
        let zero = BigRational::from_integer(0.into());
        let between = a[0].min(b[0]) <= point[0] && point[0] <= a[0].max(b[0]);
        if side == zero && between {
            return true;
        }
        if low[1] <= point[1] && point[1] < high[1] && side > zero {
            odd = !odd;
        }
    }
    odd
}

/// Whether the place is so near to an edge that the sign of the cross product might be wrong in
/// doubles (Shewchuk's bound A for `orient2d`), or as near to a vertex as PostGIS thinks nothing of.
pub(crate) fn is_within_rounding(shape: &Shape, place: Place) -> bool {
    let [x, y] = [place.lon_degrees(), place.lat_degrees()];
    edges(shape).any(|(a, b)| {
        let within = |from: f64, to: f64, at: f64| from.min(to) - SNAP <= at && at <= from.max(to) + SNAP;
        if !within(a[0], b[0], x) || !within(a[1], b[1], y) {
            return false;
        }
        let magnitude = ((b[0] - a[0]) * (y - a[1])).abs() + ((x - a[0]) * (b[1] - a[1])).abs();
        let bound = (3.0 + 16.0 * EPSILON) * EPSILON * magnitude;
        let side = side(a, b, [x, y]);
        let undecided = side <= exactly(bound) && side >= exactly(-bound);
        undecided || [a, b].iter().any(|end| (end[0] - x).abs() <= SNAP && (end[1] - y).abs() <= SNAP)
    })
}

/// Of the way from `a` to `b`: positive to its left.
fn side(a: [f64; 2], b: [f64; 2], point: [f64; 2]) -> BigRational {
    let [ax, ay, bx, by, x, y] = [a[0], a[1], b[0], b[1], point[0], point[1]].map(exactly);
    (bx - &ax) * (y - &ay) - (x - ax) * (by - ay)
}

fn exactly(x: f64) -> BigRational {
    Ratio::from_float(x).expect("a coordinate is finite")
}

/// The edges of all rings.
pub(crate) fn edges(shape: &Shape) -> impl Iterator<Item = ([f64; 2], [f64; 2])> {
    let rings = shape.polygons().flat_map(|polygon| polygon.rings());
    rings.flat_map(|ring| ring.windows(2)).map(|edge| (edge[0], edge[1]))
}
