//! The one list of the computed tables.

/// Calls the macro `$call` with the computed tables whose rows come and go, in the order in which they are listed to
/// people: per table its description, the name of its field in structures that hold all of them, and the type of its
/// rows. `vehicle_state` is none of them: its rows replace each other, and its flushes lag behind the commits.
///
/// Structures with a field per table, and their exhaustive destructurings, are generated from this list.
#[macro_export]
macro_rules! computed_tables {
    ($call:ident) => {
        $call! {
            /// `geofence_membership`: who is where.
            membership: $crate::Membership,
            /// `geofence_occupancy`: how many are where.
            occupancy: $crate::Occupancy,
            /// `visits`: every visit, ended or not.
            visits: $crate::Visit,
            /// `offlines`: every silence.
            offlines: $crate::Offline,
            /// `stops`: every stop.
            stops: $crate::facts::Stop,
            /// `idlings`: every idling.
            idlings: $crate::facts::Idling,
            /// `overspeeds`: every overspeed.
            overspeeds: $crate::facts::Overspeed,
            /// `moves_off`: every move with the ignition off.
            moves_off: $crate::facts::MovesOff,
            /// `trips`: every trip.
            trips: $crate::facts::Trip,
            /// `turnarounds`: every turnaround.
            turnarounds: $crate::facts::Turnaround,
            /// `alerts`: every fact that a rule selects.
            alerts: $crate::Alert,
            /// `vehicle_daily`: each vehicle's day.
            vehicle_daily: $crate::aggregates::VehicleDaily,
            /// `geofence_hourly`: each geofence's hour.
            geofence_hourly: $crate::aggregates::GeofenceHourly,
            /// `od_daily`: the trips between two geofences on a day.
            od_daily: $crate::aggregates::OdDaily,
            /// `fleet_daily`: each fleet's day.
            fleet_daily: $crate::aggregates::FleetDaily,
            /// `kind_daily`: the visits to a kind of geofence on a day.
            kind_daily: $crate::aggregates::KindDaily,
            /// `vehicles`: versions of vehicles' metadata.
            vehicles: $crate::InForce<$crate::VehicleId>,
            /// `geofences`: versions of geofences.
            geofences: $crate::InForce<$crate::GeofenceId>,
            /// `rules`: versions of alert rules.
            rules: $crate::InForce<$crate::RuleId>,
            /// `position_marks`: the mark of every position that has one.
            marks: $crate::Marked,
        }
    };
}
