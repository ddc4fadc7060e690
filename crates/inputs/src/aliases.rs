//! The names that trackers, products and loggers give to the fields of a position.
//!
//! Names are compared without case, spaces and punctuation, and without a unit in brackets. Of several columns that
//! could be the same field the one whose name comes first in the list is; the others become attributes.

use std::collections::HashMap;
use std::sync::LazyLock;

use rustc_hash::FxBuildHasher;

use super::reading::SpeedUnit;

macro_rules! slots {
    ($($(#[$doc:meta])* $slot:ident = $name:literal: [$($alias:literal),* $(,)?]),* $(,)?) => {
        /// A field of a position.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Slot {
            $($(#[$doc])* $slot),*
        }

        impl Slot {
            /// Every slot, in the order of their indexes.
            pub(crate) const ALL: &[Self] = &[$(Self::$slot),*];

            /// Its name in messages and in a column map.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$slot => $name),*
                }
            }

            /// Its names in files, normalized, the likeliest first.
            fn aliases(self) -> &'static [&'static str] {
                match self {
                    $(Self::$slot => &[$($alias),*]),*
                }
            }
        }
    };
}

slots! {
    VehicleId = "vehicle_id": [
        "vehicleid", "vehicle", "imei", "mmsi", "deviceid", "device", "deviceimei", "uniqueid", "unitid", "unit",
        "assetid", "asset", "trackerid", "tracker", "terminalid", "identifier", "vehiclenumber", "vehicleno",
        "vehicleregistration", "vehiclereg", "registrationnumber", "registration", "licenseplate", "licenceplate",
        "platenumber", "plateno", "numberplate", "plate", "truckid", "truck", "busid", "bus", "carid", "car",
        "taxiid", "taxi", "tid", "objectid", "object", "vesselid", "vehiclename", "devicename", "unitname",
        "assetname", "objectname", "name", "id",
    ],
    Ts = "ts": [
        "ts", "timestamp", "datetime", "fixtime", "gpstime", "gpsdatetime", "gpstimestamp", "dttracker",
        "trackertime", "devicetime", "basedatetime", "eventtime", "positiontime", "locationtime", "recordedat",
        "recordtime", "recordedtime", "occurredat", "dateandtime", "timestamputc", "datetimeutc", "utcdatetime",
        "utctimestamp", "timestampms", "timems", "timeutc", "utctime", "utc", "epoch", "unixtime", "tst", "dt",
        "t", "time", "date", "zeitstempel", "datumzeit", "zeit", "fecha", "fechahora",
    ],
    Lon = "lon": [
        "lon", "lng", "long", "longitude", "londeg", "longitudedeg", "gpslongitude", "gpslon", "gpslng",
        "positionlongitude", "locationlongitude", "longitudeew", "longitudewe", "poslon", "lond", "longitud",
        "laengengrad", "längengrad", "x",
    ],
    Lat = "lat": [
        "lat", "latitude", "latdeg", "latitudedeg", "gpslatitude", "gpslat", "positionlatitude", "locationlatitude",
        "latitudens", "latitudesn", "poslat", "latd", "latitud", "breitengrad", "y",
    ],
    Speed = "speed_kmh": [
        "speedkmh", "speedkph", "kmh", "speed", "speedmph", "speedknots", "speedkn", "speedkts", "speedms",
        "speedmps", "sog", "speedoverground", "gpsspeed", "groundspeed", "vehiclespeed", "velocity", "vel",
        "velocitykmh", "geschwindigkeit", "velocidad",
    ],
    Heading = "heading_deg": [
        "headingdeg", "course", "cog", "courseoverground", "heading", "bearing", "angle", "direction", "azimuth",
        "track", "orientation", "coursedeg", "hdg", "kurs", "rumbo",
    ],
    Accuracy = "accuracy_m": [
        "accuracym", "accuracy", "acc", "hacc", "horizontalaccuracy", "gpsaccuracy", "accuracymeters", "precision",
    ],
    Altitude = "altitude_m": ["altitudem", "altitude", "alt", "elevation", "ele", "heightm", "height", "z"],
    Ignition = "ignition": [
        "ignition", "ign", "ignitionon", "ignitionstatus", "ignitionstate", "enginestatus", "engineon", "engine",
    ],
    ReceivedAt = "received_at": [
        "receivedat", "servertime", "dtserver", "receivedtime", "receivetime", "receivedts", "arrivaltime",
    ],
    Attributes = "attributes": ["attributes"],
    Deleted = "deleted": ["deleted"],
}

/// Slots by their names; of a name that stands for several the earliest.
static BY_ALIAS: LazyLock<HashMap<&'static str, Slot, FxBuildHasher>> = LazyLock::new(|| {
    let mut slots = HashMap::default();
    for &slot in Slot::ALL {
        slot.aliases().iter().for_each(|alias| {
            slots.entry(*alias).or_insert(slot);
        });
    }
    slots
});

/// Columns that hold only the day, to be joined with one of [`TIMES`].
const DATES: [&str; 6] = ["date", "gpsdate", "utcdate", "localdate", "datum", "fecha"];
/// Columns that hold only the time of day.
const TIMES: [&str; 7] = ["time", "gpstime", "utctime", "localtime", "timeutc", "zeit", "hora"];
/// Columns that hold only the letter of a hemisphere.
const HEMISPHERES: [(Slot, &[&str]); 2] = [
    (Slot::Lat, &["ns", "latns", "northsouth", "latdir", "latitudedirection", "lathemisphere", "latitudehemisphere"]),
    (Slot::Lon, &["ew", "lonew", "eastwest", "londir", "lngdir", "longitudedirection", "lonhemisphere"]),
];

impl Slot {
    /// By its own name or another name for it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        BY_ALIAS.get(normalized(name).as_str()).copied()
    }

    /// How likely a normalized name stands for it: 0 is its own.
    pub(crate) fn rank(self, name: &str) -> usize {
        self.aliases().iter().position(|alias| *alias == name).unwrap_or(usize::MAX - 1)
    }

    /// Its place in a row of them.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// A name without case, punctuation and a unit in brackets.
pub(crate) fn normalized(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or_default();
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Which columns hold which fields: for each slot the columns that are joined with a space.
pub(crate) fn assign(names: &[&str]) -> Vec<(Slot, Vec<usize>)> {
    let normal: Vec<String> = names.iter().map(|name| normalized(name)).collect();
    let find = |wanted: &[&str]| wanted.iter().find_map(|alias| normal.iter().position(|name| name == alias));
    let mut assigned = Vec::new();
    let day_and_time = find(&DATES).zip(find(&TIMES)).filter(|(day, time)| day != time);
    for &slot in Slot::ALL {
        let aliases = slot.aliases();
        let whole = match (slot, day_and_time) {
            // A column that holds both is preferred; one that is called like either is not.
            (Slot::Ts, Some((day, time))) => {
                let both = find(aliases).filter(|&column| column != day && column != time);
                assigned.push((slot, both.map_or_else(|| vec![day, time], |column| vec![column])));
                continue;
            }
            _ => find(aliases),
        };
        let Some(column) = whole else { continue };
        let letter = HEMISPHERES.iter().find(|(of, _)| *of == slot).and_then(|(_, letters)| find(letters));
        assigned.push((slot, letter.map_or_else(|| vec![column], |letter| vec![column, letter])));
    }
    // A name may stand for two fields; the earlier one has it.
    let mut taken = vec![false; names.len()];
    assigned.retain(|(_, columns)| {
        let free = columns.iter().all(|&column| !taken[column]);
        columns.iter().for_each(|&column| taken[column] |= free);
        free
    });
    assigned
}

/// The unit of speed that a column's name says: in brackets, or at its end.
pub(crate) fn speed_unit_of(name: &str) -> Option<SpeedUnit> {
    if let Some((_, unit)) = name.split_once(['(', '[']) {
        return SpeedUnit::parse(unit.trim_end_matches([')', ']', ' '])).ok();
    }
    let normal = normalized(name);
    if matches!(normal.as_str(), "sog" | "speedoverground") {
        return Some(SpeedUnit::Knots);
    }
    if normal == "kmh" {
        return Some(SpeedUnit::Kmh);
    }
    let unit = ["gpsspeed", "groundspeed", "speed", "velocity"].iter().find_map(|head| normal.strip_prefix(head))?;
    SpeedUnit::parse(unit).ok()
}

/// Whether a column's name says that its times are UTC.
pub(crate) fn is_utc(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.contains("utc") || lower.contains("gmt") || normalized(name) == "basedatetime"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> String {
        let names: Vec<&str> = header.split(',').collect();
        let mut slots = assign(&names);
        slots.sort_by_key(|(_, columns)| columns[0]);
        let joined = |columns: &[usize]| columns.iter().map(|&at| names[at]).collect::<Vec<_>>().join("+");
        slots.iter().map(|(slot, columns)| format!("{}={}", slot.name(), joined(columns))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn headers_are_understood() {
        for (header, understood) in [
            ("Vehicle_ID,TS,LON,LAT,Speed_kmh", "vehicle_id=Vehicle_ID ts=TS lon=LON lat=LAT speed_kmh=Speed_kmh"),
            (
                "imei,timestamp,latitude,longitude,course",
                "vehicle_id=imei ts=timestamp lat=latitude lon=longitude heading_deg=course",
            ),
            (
                "dt_server,dt_tracker,lat,lng,angle",
                "received_at=dt_server ts=dt_tracker lat=lat lon=lng heading_deg=angle",
            ),
            ("INDEX,DATE,TIME,LATITUDE N/S,LONGITUDE E/W", "ts=DATE+TIME lat=LATITUDE N/S lon=LONGITUDE E/W"),
            ("id,lat,N/S,lon,E/W,Time", "vehicle_id=id lat=lat+N/S lon=lon+E/W ts=Time"),
            ("id,deviceId,fixTime,time,COG,Heading", "vehicle_id=deviceId ts=fixTime heading_deg=COG"),
        ] {
            assert_eq!(of(header), understood, "{header}");
        }
    }

    #[test]
    fn units_in_names() {
        assert_eq!(speed_unit_of("Speed (km/h)"), Some(SpeedUnit::Kmh));
        assert_eq!(speed_unit_of("speed [m/s]"), Some(SpeedUnit::MetresPerSecond));
        assert_eq!(speed_unit_of("speed_knots"), Some(SpeedUnit::Knots));
        assert_eq!(speed_unit_of("SOG"), Some(SpeedUnit::Knots));
        assert_eq!(speed_unit_of("speed"), None);
        assert!(is_utc("Time (UTC)") && !is_utc("time"));
    }
}
