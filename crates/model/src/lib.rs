//! The ground words of Watch Tower: what every other crate is written in.
//!
//! Nothing in this crate performs I/O, reads a clock, or knows timely dataflow.
//!
//! | module | contents |
//! |---|---|
//! | [`units`] | instants, spans, dense identifiers, places, speeds, headings |
//! | [`geometry`] | shapes: validity, coverage, geodesic distances |
//! | [`local_time`] | local days and hours |
//! | [`positions`] | accepted positions |
//! | [`edits`] | versions of geofences and of vehicles' metadata |
//! | [`alerts`] | alert rules and the alerts that follow from them |
//! | [`rules`] | the parameters that decide the contents of the tables |
//! | [`facts`], [`presence`], [`aggregates`] | the rows: facts, the present, sums by hour and day |
//! | [`computed_tables!`] | the one list of the tables they make |

pub mod aggregates;
pub mod alerts;
pub mod edits;
pub mod facts;
pub mod geometry;
pub mod local_time;
pub mod positions;
pub mod presence;
pub mod rfc3339;
pub mod rules;
mod tables;
pub mod units;

pub use alerts::{Alert, AlertKind, AlertRule, RuleEdit, RuleId};
pub use edits::{Edit, Geofence, GeofenceEdit, InForce, Vehicle, VehicleEdit};
pub use facts::{Offline, Visit};
pub use positions::{Ignition, Mark, Marked, Position, PositionEvent};
pub use presence::{GeofenceIds, Membership, Occupancy, Status, VehicleState};
pub use rules::{OUTLIER_RUN, OUTLIER_RUN_MS, Outliers, Rules, STOP_RETURN_MS, UTC_HOUR_MS, ViewSet};
pub use units::{BEGINNING, END, GeofenceId, Heading, Millis, Place, Span, Speed, VehicleId};
