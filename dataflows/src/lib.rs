//! The pure part of Watch Tower: functions from collections of events to collections of facts.
//!
//! Nothing in this crate performs I/O, reads a clock or an environment variable, logs, or iterates
//! a hash map into an output. What it computes is a function of its input alone, so that every
//! table equals a recomputation over a prefix of the event log.
//!
//! | module | what it holds |
//! |---|---|
//! | [`control`] | what reaches every worker: edits and the log's time |
//! | [`index`], [`cells`], [`catalogue`] | the geofence versions, by place and by time |
//! | [`whereabouts`] | which geofences vehicles are in, without event time |
//! | [`roster`] | the speed limits and fleets of vehicles |
//! | [`versions`] | which of several edits is in force when |
//! | [`timeline`] | the resumable fold over one vehicle's positions, and its operator |
//! | [`alerts`] | which facts alert rules select |
//! | [`views`] | one file per computed table |
//! | [`naive`] | all tables recomputed from the whole log, rule by rule: what the above is held to |

pub mod alerts;
pub mod catalogue;
pub mod cells;
pub mod control;
pub mod index;
pub mod naive;
pub mod roster;
pub mod timeline;
pub mod versions;
pub mod views;
pub mod whereabouts;
