//! Destinations of lorries: terminals, depots and clients, each on a road, with their geofences' shapes.

use super::geodesy::{Offset, Spot};

/// Kind of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SiteKind {
    /// Containers start and end here; the number of lorries inside is limited.
    Terminal,
    /// Lorries spend the night here.
    Depot,
    /// Containers are unpacked here.
    Client,
}

impl SiteKind {
    /// The kind in the geofences.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Depot => "depot",
            Self::Client => "client",
        }
    }
}

/// Shape of a place's ground, relative to its centre.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ground {
    /// A circle, with its radius in metres.
    Circle(f64),
    /// A rectangle: half its length and half its width in metres, and its clockwise rotation from east-west in degrees.
    Yard(f64, f64, f64),
    /// A polygon: corners in metres east and north.
    Corners(&'static [(f64, f64)]),
}

/// A terminal, depot or client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: SiteKind,
    pub(super) middle: Spot,
    pub(super) ground: Ground,
    /// The junction that gives access to it.
    pub(super) road: &'static str,
}

const fn place(
    (id, name): (&'static str, &'static str),
    kind: SiteKind,
    (lon, lat): (f64, f64),
    ground: Ground,
    road: &'static str,
) -> Site {
    Site { id, name, kind, middle: Spot { lon, lat }, ground, road }
}

use Ground::{Circle, Corners, Yard};
use SiteKind::{Client, Depot, Terminal};

/// Index of the terminal whose ground is redrawn.
pub(super) const ESSLIBRA: usize = 0;
/// Number of terminals; they come first in [`PLACES`].
pub(super) const TERMINALS: usize = 3;
/// Number of depots; they follow the terminals.
pub(super) const DEPOTS: usize = 3;

/// All places: terminals, depots, clients.
pub(super) const PLACES: [Site; 30] = [
    place(
        ("esslibra", "ESSLIBRA Ibeshe"),
        Terminal,
        (3.4755, 6.5563),
        Corners(&[(-260.0, -240.0), (240.0, -270.0), (270.0, 120.0), (150.0, 330.0), (-190.0, 330.0), (-280.0, 40.0)]),
        "ibeshe",
    ),
    place(
        ("apapa", "Apapa Port"),
        Terminal,
        (3.3665, 6.4415),
        Corners(&[(-420.0, 120.0), (-150.0, -420.0), (330.0, -300.0), (240.0, 380.0), (-180.0, 400.0)]),
        "apapa-gate",
    ),
    place(("tincan", "Tin Can Island"), Terminal, (3.3480, 6.4330), Yard(460.0, 300.0, 12.0), "tincan-gate"),
    place(("depot-mile2", "Mile 2 depot"), Depot, (3.3110, 6.4705), Yard(150.0, 110.0, 30.0), "mile2"),
    place(("depot-ojota", "Ojota depot"), Depot, (3.3850, 6.5835), Circle(150.0), "ojota"),
    place(("depot-ikorodu", "Ikorodu depot"), Depot, (3.5135, 6.6150), Circle(200.0), "ikorodu"),
    place(("ilupeju", "Ilupeju Industrial Estate"), Client, (3.3575, 6.5535), Yard(160.0, 90.0, 20.0), "palmgrove"),
    place(("oregun", "Oregun Works"), Client, (3.3655, 6.6045), Circle(130.0), "oregun"),
    place(("isolo", "Isolo Industrial Estate"), Client, (3.3270, 6.5310), Yard(150.0, 110.0, 70.0), "iyana-isolo"),
    place(("matori", "Matori Market Store"), Client, (3.3415, 6.5400), Circle(120.0), "toyota"),
    place(("amuwo", "Amuwo Odofin Cold Store"), Client, (3.3000, 6.4705), Circle(140.0), "festac"),
    place(("kirikiri", "Kirikiri Tank Farm"), Client, (3.3080, 6.4445), Yard(180.0, 120.0, 15.0), "kirikiri"),
    place(("satellite-town", "Satellite Town Warehouse"), Client, (3.2660, 6.4470), Circle(130.0), "satellite-town"),
    place(("trade-fair", "Trade Fair Complex"), Client, (3.2450, 6.4705), Yard(210.0, 150.0, 0.0), "trade-fair"),
    place(("alaba", "Alaba International Market"), Client, (3.1900, 6.4660), Yard(170.0, 140.0, 40.0), "okokomaiko"),
    place(("agbara", "Agbara Industrial Estate"), Client, (3.0945, 6.5120), Yard(260.0, 170.0, 60.0), "agbara"),
    place(("ota", "Ota Industrial Estate"), Client, (3.2150, 6.6830), Yard(240.0, 160.0, 25.0), "ota"),
    place(("abule-egba", "Abule Egba Store"), Client, (3.2920, 6.6500), Circle(110.0), "abule-egba"),
    place(("ogba", "Acme Road, Ogba"), Client, (3.3380, 6.6305), Circle(130.0), "ogba"),
    place(("oba-akran", "Oba Akran Industrial"), Client, (3.3495, 6.6105), Yard(140.0, 90.0, 120.0), "oba-akran"),
    place(("iganmu", "Iganmu Brewery"), Client, (3.3560, 6.4840), Yard(150.0, 120.0, 10.0), "iganmu"),
    place(("mile12", "Mile 12 Market"), Client, (3.3915, 6.6110), Yard(190.0, 130.0, 35.0), "mile12"),
    place(("odogunyan", "Odogunyan Industrial Estate"), Client, (3.5250, 6.6600), Yard(220.0, 150.0, 0.0), "odogunyan"),
    place(("arepo", "Arepo Distribution Park"), Client, (3.4080, 6.7020), Circle(180.0), "arepo"),
    place(("mowe", "Mowe Distribution Park"), Client, (3.4440, 6.8055), Circle(200.0), "mowe"),
    place(("sagamu", "Sagamu Interchange Park"), Client, (3.6400, 6.8370), Yard(230.0, 150.0, 45.0), "sagamu"),
    place(("ajah", "Ajah Building Materials"), Client, (3.5720, 6.4640), Circle(120.0), "ajah"),
    place(("sangotedo", "Sangotedo Mall"), Client, (3.6270, 6.4765), Yard(160.0, 110.0, 0.0), "sangotedo"),
    place(("eleko", "Eleko Junction Yard"), Client, (3.8570, 6.4750), Circle(170.0), "eleko"),
    place(("gbagada", "Gbagada Industrial Scheme"), Client, (3.3890, 6.5590), Yard(140.0, 100.0, 50.0), "gbagada"),
];

/// The ground of ESSLIBRA after it is redrawn: it then includes the road before the gate, where lorries wait.
pub(super) const ESSLIBRA_REDRAWN: Ground = Corners(&[
    (-260.0, -240.0),
    (240.0, -270.0),
    (270.0, 120.0),
    (210.0, 330.0),
    (240.0, 950.0),
    (20.0, 950.0),
    (-60.0, 330.0),
    (-190.0, 330.0),
    (-280.0, 40.0),
]);

/// Corners of the zone with a limit of 40 km/h: the streets around the ports.
pub(super) const PORT_DISTRICT: [(f64, f64); 7] = [
    (3.3320, 6.4400),
    (3.3420, 6.4290),
    (3.3720, 6.4350),
    (3.3720, 6.4520),
    (3.3660, 6.4570),
    (3.3560, 6.4500),
    (3.3400, 6.4480),
];

impl Ground {
    /// Corners relative to the centre; empty for a circle.
    pub(super) fn corners(self) -> Vec<Offset> {
        match self {
            Circle(_) => Vec::new(),
            Yard(length, width, turned) => {
                let (sin, cos) = turned.to_radians().sin_cos();
                let corner = |along: f64, across: f64| Offset {
                    east: along * cos + across * sin,
                    north: across * cos - along * sin,
                };
                vec![corner(-length, -width), corner(length, -width), corner(length, width), corner(-length, width)]
            }
            Corners(corners) => corners.iter().map(|&(east, north)| Offset { east, north }).collect(),
        }
    }

    /// Greatest distance of the ground from the centre, metres.
    pub(super) fn reach_m(self) -> f64 {
        match self {
            Circle(radius) => radius,
            Yard(..) | Corners(_) => self.corners().into_iter().map(Offset::length).fold(0.0, f64::max),
        }
    }

    /// Greatest distance of a standing lorry from the centre, metres.
    pub(super) fn room_m(self) -> f64 {
        let edge = match self {
            Circle(radius) => radius,
            Yard(length, width, _) => length.min(width),
            Corners(_) => {
                let corners = self.corners();
                let next = corners.iter().cycle().skip(1);
                corners
                    .iter()
                    .zip(next)
                    .map(|(a, b)| Offset::default().distance_to_segment(*a, *b))
                    .fold(f64::MAX, f64::min)
            }
        };
        edge * 0.7
    }
}
