//! The road network: places and junctions, the roads between them, and the quickest way between any two.
//!
//! A lorry stores no route. At every junction it looks up the next one on the quickest way to its goal, in a table of
//! all pairs: one for empty roads and one for the rush hour.

use super::geodesy::Spot;
use super::map::{Class, JUNCTIONS, ROADS};
use super::places::PLACES;

/// A place or a junction; places have the lowest numbers, in their listed order.
pub(super) type Node = u16;

/// A road from one node to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) to: Node,
    pub(super) class: Class,
    pub(super) metres: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Roads {
    spots: Vec<Spot>,
    stretches: Vec<Vec<Stretch>>,
    quiet: Ways,
    rush: Ways,
}

/// Next node on the quickest way, for each pair of nodes.
#[derive(Clone, Debug)]
struct Ways {
    next: Vec<Node>,
}

const NOWHERE: Node = Node::MAX;

impl Roads {
    pub(super) fn new() -> Self {
        let places = PLACES.iter().map(|place| place.middle);
        let spots: Vec<Spot> = places.chain(JUNCTIONS.iter().map(|&(_, lon, lat)| Spot { lon, lat })).collect();
        let mut stretches = vec![Vec::new(); spots.len()];
        let mut join = |a: Node, b: Node, class: Class| {
            let metres = spots[usize::from(a)].to(spots[usize::from(b)]).length();
            stretches[usize::from(a)].push(Stretch { to: b, class, metres });
            stretches[usize::from(b)].push(Stretch { to: a, class, metres });
        };
        for road in &ROADS {
            for pair in road.along.windows(2) {
                join(junction(pair[0], road.name), junction(pair[1], road.name), road.class);
            }
        }
        for (place, node) in PLACES.iter().zip(0..) {
            join(node, junction(place.road, place.name), Class::Access);
        }
        let quiet = Ways::new(&stretches, |_| 1.0);
        let rush = Ways::new(&stretches, Class::rush_share);
        Self { spots, stretches, quiet, rush }
    }

    pub(super) fn spot(&self, node: Node) -> Spot {
        self.spots[usize::from(node)]
    }

    /// The next stretch on the quickest way; `None` at its end.
    pub(super) fn next(&self, from: Node, to: Node, rush: bool) -> Option<&Stretch> {
        let ways = if rush { &self.rush } else { &self.quiet };
        let next = ways.next[usize::from(from) * self.spots.len() + usize::from(to)];
        self.stretch(from, next)
    }

    /// The stretch between two neighbours.
    pub(super) fn stretch(&self, from: Node, to: Node) -> Option<&Stretch> {
        self.stretches[usize::from(from)].iter().find(|stretch| stretch.to == to)
    }

    /// The only road of a place.
    pub(super) fn way_out(&self, place: Node) -> &Stretch {
        self.stretches[usize::from(place)].first().expect("every place is on a road")
    }

    #[cfg(test)]
    pub(super) fn nodes(&self) -> std::ops::Range<Node> {
        0..self.spots.len() as Node
    }

    #[cfg(test)]
    pub(super) fn stretches(&self, from: Node) -> &[Stretch] {
        &self.stretches[usize::from(from)]
    }
}

/// The node of a junction; `road` names the road in panics.
fn junction(name: &str, road: &str) -> Node {
    let number = JUNCTIONS.iter().position(|&(known, ..)| known == name);
    (PLACES.len() + number.unwrap_or_else(|| panic!("{road}: no junction has the name {name}"))) as Node
}

impl Ways {
    /// Floyd-Warshall, some two million comparisons. In whole milliseconds, so that ties are equal on every machine.
    fn new(stretches: &[Vec<Stretch>], share: impl Fn(Class) -> f64) -> Self {
        let n = stretches.len();
        let mut cost = vec![u32::MAX / 2; n * n];
        let mut next = vec![NOWHERE; n * n];
        for (from, stretches) in stretches.iter().enumerate() {
            cost[from * n + from] = 0;
            for stretch in stretches {
                let ms = stretch.metres * 3600.0 / (stretch.class.free_kmh() * share(stretch.class));
                cost[from * n + usize::from(stretch.to)] = ms as u32;
                next[from * n + usize::from(stretch.to)] = stretch.to;
            }
        }
        for via in 0..n {
            for from in 0..n {
                let first = cost[from * n + via];
                for to in 0..n {
                    let through = first + cost[via * n + to];
                    if through < cost[from * n + to] {
                        cost[from * n + to] = through;
                        next[from * n + to] = next[from * n + via];
                    }
                }
            }
        }
        Self { next }
    }
}
