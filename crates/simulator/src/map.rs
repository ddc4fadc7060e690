//! The roads of greater Lagos that lorries use: junctions, at their real coordinates to a few hundred metres, and the
//! roads between them. From general knowledge; not for navigation.

/// Class of a road: decides the free speed and its loss in the rush hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Three lanes each way.
    Expressway,
    /// A road over water.
    Bridge,
    /// A main road through the town.
    Arterial,
    /// A road within a quarter.
    Street,
    /// The way from a road to a yard.
    Access,
}

impl Class {
    /// Speed on an empty road, km/h.
    pub(super) fn free_kmh(self) -> f64 {
        match self {
            Self::Expressway => 60.0,
            Self::Bridge => 52.0,
            Self::Arterial => 42.0,
            Self::Street => 27.0,
            Self::Access => 13.0,
        }
    }

    /// Share of the free speed that remains at the peak of the rush hour.
    pub(super) fn rush_share(self) -> f64 {
        match self {
            Self::Expressway => 0.45,
            Self::Bridge => 0.55,
            Self::Arterial => 0.40,
            Self::Street => 0.60,
            Self::Access => 1.0,
        }
    }
}

/// A road: name, class, and its junctions in order.
pub(super) struct Road {
    pub(super) name: &'static str,
    pub(super) class: Class,
    pub(super) along: &'static [&'static str],
}

const fn road(name: &'static str, class: Class, along: &'static [&'static str]) -> Road {
    Road { name, class, along }
}

/// Junctions: name, longitude, latitude.
pub(super) const JUNCTIONS: [(&str, f64, f64); 101] = [
    // Apapa and Tin Can Island
    ("apapa-gate", 3.3625, 6.4478),
    ("liverpool", 3.3580, 6.4430),
    ("creek-road", 3.3535, 6.4400),
    ("tincan-gate", 3.3450, 6.4400),
    ("coconut", 3.3380, 6.4440),
    ("sunrise", 3.3290, 6.4530),
    ("berger-yard", 3.3235, 6.4590),
    ("wharf-road", 3.3640, 6.4520),
    ("ijora-causeway", 3.3675, 6.4600),
    ("ijora", 3.3705, 6.4680),
    // Apapa-Oshodi Expressway, northwards
    ("mile2", 3.3170, 6.4655),
    ("second-rainbow", 3.3215, 6.4765),
    ("sanya", 3.3265, 6.4880),
    ("ijesha", 3.3290, 6.4965),
    ("cele", 3.3310, 6.5065),
    ("ilasamaja", 3.3330, 6.5175),
    ("iyana-isolo", 3.3330, 6.5275),
    ("toyota", 3.3355, 6.5375),
    ("oshodi", 3.3450, 6.5555),
    ("anthony", 3.3680, 6.5595),
    ("gbagada", 3.3850, 6.5535),
    ("oworonshoki", 3.4030, 6.5470),
    // the bridges and the island
    ("third-mainland-north", 3.4045, 6.5300),
    ("third-mainland-middle", 3.4030, 6.5050),
    ("adekunle", 3.3960, 6.4880),
    ("adeniji", 3.3925, 6.4665),
    ("osborne", 3.4115, 6.4560),
    ("falomo", 3.4250, 6.4450),
    ("eko-bridge-middle", 3.3785, 6.4612),
    ("apongbon", 3.3845, 6.4555),
    ("marina", 3.3915, 6.4490),
    ("carter-bridge", 3.3835, 6.4630),
    ("iddo", 3.3800, 6.4690),
    ("idumota", 3.3880, 6.4590),
    ("bonny-camp", 3.4120, 6.4370),
    ("law-school", 3.4270, 6.4345),
    // Lekki
    ("lekki-gate", 3.4480, 6.4360),
    ("lekki-phase-1", 3.4750, 6.4400),
    ("jakande", 3.5070, 6.4380),
    ("chevron", 3.5350, 6.4420),
    ("vgc", 3.5540, 6.4610),
    ("ajah", 3.5690, 6.4690),
    ("abraham-adesanya", 3.5880, 6.4715),
    ("sangotedo", 3.6310, 6.4715),
    ("awoyaya", 3.7020, 6.4730),
    ("bogije", 3.7630, 6.4750),
    ("eleko", 3.8500, 6.4790),
    ("poka", 3.9500, 6.5700),
    ("epe", 3.9790, 6.5880),
    ("itoikin", 3.7890, 6.6560),
    // Surulere and Ikorodu Road
    ("alaka", 3.3640, 6.4840),
    ("stadium", 3.3635, 6.4990),
    ("ojuelegba", 3.3645, 6.5105),
    ("jibowu", 3.3670, 6.5175),
    ("fadeyi", 3.3685, 6.5270),
    ("palmgrove", 3.3680, 6.5420),
    ("maryland", 3.3675, 6.5710),
    ("ojota", 3.3790, 6.5870),
    ("ketu", 3.3855, 6.5970),
    ("mile12", 3.3960, 6.6065),
    ("owode-onirin", 3.4150, 6.6130),
    ("majidun", 3.4600, 6.6240),
    ("ogolonto", 3.4880, 6.6190),
    ("ikorodu", 3.5070, 6.6200),
    ("ebute", 3.4930, 6.6040),
    ("ipakodo", 3.4850, 6.5970),
    ("ofin", 3.4800, 6.5790),
    ("ibeshe", 3.4768, 6.5660),
    ("itamaga", 3.5230, 6.6290),
    ("odogunyan", 3.5190, 6.6640),
    ("ogijo", 3.5270, 6.7060),
    ("sagamu", 3.6330, 6.8320),
    // Badagry
    ("iganmu", 3.3590, 6.4790),
    ("orile", 3.3510, 6.4775),
    ("alafia", 3.3360, 6.4700),
    ("festac", 3.2880, 6.4650),
    ("trade-fair", 3.2440, 6.4645),
    ("okokomaiko", 3.1940, 6.4730),
    ("ijanikin", 3.1260, 6.4940),
    ("agbara", 3.0990, 6.5060),
    ("lusada", 3.0980, 6.5960),
    ("atan", 3.1100, 6.6720),
    ("kirikiri", 3.3130, 6.4490),
    ("satellite-town", 3.2700, 6.4510),
    // Ikeja and Agege
    ("shogunle", 3.3400, 6.5760),
    ("ikeja-along", 3.3370, 6.5990),
    ("dopemu", 3.3150, 6.6120),
    ("iyana-ipaja", 3.2930, 6.6130),
    ("abule-egba", 3.2980, 6.6470),
    ("sango-ota", 3.2420, 6.7010),
    ("ota", 3.2230, 6.6890),
    ("ikeja", 3.3580, 6.5940),
    ("oba-akran", 3.3440, 6.6060),
    ("ogba", 3.3410, 6.6250),
    ("oregun", 3.3690, 6.6000),
    // Lagos-Ibadan Expressway
    ("old-toll-gate", 3.3720, 6.6090),
    ("ojodu-berger", 3.3700, 6.6420),
    ("kara", 3.3830, 6.6590),
    ("arepo", 3.4010, 6.7000),
    ("ibafo", 3.4180, 6.7420),
    ("mowe", 3.4370, 6.8090),
];

use Class::{Arterial, Bridge, Expressway, Street};

pub(super) const ROADS: [Road; 30] = [
    road(
        "Apapa-Oshodi Expressway",
        Expressway,
        &[
            "tincan-gate",
            "coconut",
            "sunrise",
            "berger-yard",
            "mile2",
            "second-rainbow",
            "sanya",
            "ijesha",
            "cele",
            "ilasamaja",
            "iyana-isolo",
            "toyota",
            "oshodi",
        ],
    ),
    road("Oshodi-Oworonshoki Expressway", Expressway, &["oshodi", "anthony", "gbagada", "oworonshoki"]),
    road(
        "Third Mainland Bridge",
        Bridge,
        &["oworonshoki", "third-mainland-north", "third-mainland-middle", "adekunle", "adeniji"],
    ),
    road("Ring Road", Arterial, &["adeniji", "osborne", "falomo", "law-school"]),
    road("Adeniji Adele Road", Street, &["adeniji", "idumota"]),
    road("Carter Bridge", Bridge, &["ijora", "iddo", "carter-bridge", "idumota", "apongbon"]),
    road("Eko Bridge", Bridge, &["ijora", "eko-bridge-middle", "apongbon", "marina"]),
    road("Ahmadu Bello Way", Arterial, &["marina", "bonny-camp", "law-school"]),
    road("Ozumba Mbadiwe Avenue", Arterial, &["law-school", "lekki-gate"]),
    road(
        "Lekki-Epe Expressway",
        Expressway,
        &[
            "lekki-gate",
            "lekki-phase-1",
            "jakande",
            "chevron",
            "vgc",
            "ajah",
            "abraham-adesanya",
            "sangotedo",
            "awoyaya",
            "bogije",
            "eleko",
            "poka",
            "epe",
        ],
    ),
    road("Epe-Ikorodu Road", Arterial, &["epe", "itoikin", "itamaga", "ikorodu"]),
    road("Creek Road", Street, &["apapa-gate", "liverpool", "creek-road", "tincan-gate"]),
    road("Wharf Road", Street, &["apapa-gate", "wharf-road", "ijora-causeway", "ijora"]),
    road("Funsho Williams Avenue", Arterial, &["ijora", "alaka", "stadium", "ojuelegba"]),
    road(
        "Ikorodu Road",
        Arterial,
        &[
            "ojuelegba",
            "jibowu",
            "fadeyi",
            "palmgrove",
            "anthony",
            "maryland",
            "ojota",
            "ketu",
            "mile12",
            "owode-onirin",
            "majidun",
            "ogolonto",
            "ikorodu",
        ],
    ),
    road("Itire Road", Street, &["ojuelegba", "sanya"]),
    road("Ilupeju Bypass", Street, &["oshodi", "palmgrove"]),
    road("Ibeshe Road", Street, &["ikorodu", "ebute", "ipakodo", "ofin", "ibeshe"]),
    road("Ogolonto Road", Street, &["ogolonto", "ebute"]),
    road("Sagamu Road", Arterial, &["itamaga", "odogunyan", "ogijo", "sagamu"]),
    road(
        "Lagos-Badagry Expressway",
        Expressway,
        &["alaka", "iganmu", "orile", "alafia", "mile2", "festac", "trade-fair", "okokomaiko", "ijanikin", "agbara"],
    ),
    road("Atan Road", Arterial, &["agbara", "lusada", "atan", "ota"]),
    road("Kirikiri Road", Street, &["berger-yard", "kirikiri", "satellite-town", "trade-fair"]),
    road("Agege Motor Road", Arterial, &["oshodi", "shogunle", "ikeja-along"]),
    road(
        "Lagos-Abeokuta Expressway",
        Expressway,
        &["ikeja-along", "dopemu", "iyana-ipaja", "abule-egba", "sango-ota", "ota"],
    ),
    road("Mobolaji Bank Anthony Way", Arterial, &["maryland", "ikeja", "ikeja-along"]),
    road("Oba Akran Avenue", Street, &["ikeja", "oba-akran", "ogba", "abule-egba"]),
    road("Kudirat Abiola Way", Street, &["ojota", "oregun", "ikeja"]),
    road("Ogunnusi Road", Street, &["ogba", "ojodu-berger"]),
    road(
        "Lagos-Ibadan Expressway",
        Expressway,
        &["ojota", "old-toll-gate", "ojodu-berger", "kara", "arepo", "ibafo", "mowe", "sagamu"],
    ),
];
