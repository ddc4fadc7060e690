//! `alerts`: every fact that an alert rule selects, at the instant at which it does.
//!
//! What a rule says of a fact depends on that fact, on the versions of the rule, of the vehicle and of the geofence, and on
//! the log's time alone: [`evaluate`] is that function. So the alerts of a fact are retracted with the fact and emitted with
//! it, whatever its age, and a fact is kept only as long as something else can change its alerts: while it lasts, for then
//! time does, and afterwards as far back as an edit reaches. The exception is a cooldown, by which alerts of one version,
//! vehicle and geofence depend on each other: these are kept until their facts can no longer change ([`cooldown`]).
//!
//! | module | what it holds |
//! |---|---|
//! | [`fact`] | facts of all kinds in one form, and to whom they belong |
//! | [`world`] | versions of rules, geofences and vehicles, and the log's time |
//! | [`evaluate`] | the alerts of one fact |
//! | [`cooldown`] | which of several alerts are raised |
//! | [`crowds`] | alerts about how many vehicles geofences hold |
//! | [`owners`] | facts and alerts of vehicles and geofences, epoch by epoch |
//!
//! [`crate::views::alerts`] is the same in the dataflow.

pub mod cooldown;
pub mod crowds;
pub mod evaluate;
pub mod fact;
pub mod owners;
pub mod world;

pub use crowds::CrowdState;
pub use fact::Owner;
pub use owners::AlertState;
