//! Each rule, on both sides of its boundary.

#![allow(clippy::unwrap_used)]

use watchtower_model::GeofenceId;

use super::*;
use crate::events::json;

mod limits;

const NOW: Millis = 1_795_435_200_000;
const HOUR: Millis = 3_600_000;

struct Rig {
    admission: Admission,
    names: Names,
}

impl Rig {
    fn new(stream: Stream) -> Self {
        let limits = if stream == Stream::Files { Limits::for_replay() } else { Limits::default() };
        Self { admission: Admission::new(stream, limits), names: Names::default() }
    }

    fn live() -> Self {
        Self::new(Stream::Positions { index: 0, streams: 1 })
    }

    fn admit(&mut self, json: &str, arrival: Millis) -> Result<Accepted, Reason> {
        let event = json::decode(json.as_bytes(), &Limits::default()).unwrap();
        self.admission.admit(&event, arrival, &mut self.names).map_err(|rejection| rejection.reason)
    }

    /// A position that arrives `NOW`.
    fn at(&mut self, vehicle: &str, ts: Millis) -> Result<Accepted, Reason> {
        self.arriving(vehicle, ts, NOW)
    }

    fn arriving(&mut self, vehicle: &str, ts: Millis, arrival: Millis) -> Result<Accepted, Reason> {
        let json = format!(r#"{{"type":"position","vehicle_id":"{vehicle}","ts":{ts},"lon":1,"lat":2}}"#);
        self.admit(&json, arrival)
    }

    fn withdraw(&mut self, vehicle: &str, ts: Millis) -> Result<Accepted, Reason> {
        self.admit(&format!(r#"{{"type":"position","vehicle_id":"{vehicle}","ts":{ts},"deleted":true}}"#), NOW)
    }

    fn clock(&mut self, now: Millis, arrival: Millis) -> Result<Accepted, Reason> {
        self.admit(&format!(r#"{{"type":"clock","now":{now}}}"#), arrival)
    }

    /// `valid_from` and `effective_from` of a geofence that arrives `NOW`.
    fn geofence(&mut self, valid_from: &str) -> (Millis, Millis) {
        let json = format!(r#"{{"type":"geofence","geofence_id":"g"{valid_from},"deleted":true}}"#);
        match self.admit(&json, NOW) {
            Ok(Accepted::Geofence(edit)) => (edit.valid_from, edit.effective_from),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn late_counts_from_the_vehicles_own_newest() {
    let mut rig = Rig::live();
    assert!(rig.at("a", NOW).is_ok());
    assert!(rig.at("a", NOW - 6 * HOUR).is_ok(), "exactly lateness behind is on time");
    assert_eq!(rig.at("a", NOW - 6 * HOUR - 1), Err(Reason::Late));
    assert!(rig.at("b", NOW - 24 * HOUR).is_ok(), "last night's track is on time");
    assert_eq!(rig.admission.newest(VehicleId(0)), Some(NOW), "an older one does not take it back");
}

#[test]
fn a_withdrawal_makes_newest_too_and_can_be_late() {
    let mut rig = Rig::live();
    assert!(rig.withdraw("a", NOW).is_ok());
    assert_eq!(rig.at("a", NOW - 6 * HOUR - 1), Err(Reason::Late));
    assert_eq!(rig.withdraw("a", NOW - 6 * HOUR - 1), Err(Reason::Late));
}

#[test]
fn future_and_horizon_count_from_the_arrival() {
    let mut rig = Rig::live();
    assert!(rig.at("a", NOW + 60_000).is_ok());
    assert_eq!(rig.at("b", NOW + 60_001), Err(Reason::Future));
    assert!(rig.at("c", NOW - 14 * 24 * HOUR).is_ok());
    assert_eq!(rig.at("d", NOW - 14 * 24 * HOUR - 1), Err(Reason::Horizon));
    assert_eq!(rig.names.vehicle_ids().len(), 2, "the refused have no number");
}

#[test]
fn received_at_is_the_arrival() {
    let mut rig = Rig::live();
    let json = |received_at| {
        format!(
            r#"{{"type":"position","vehicle_id":"a","ts":{NOW},"lon":1,"lat":2,"received_at":{}}}"#,
            NOW + received_at
        )
    };
    assert!(rig.admit(&json(-60_000), 0).is_ok());
    assert_eq!(rig.admit(&json(-60_001), NOW), Err(Reason::Future));
}

#[test]
fn a_refused_position_leaves_no_trace() {
    let mut rig = Rig::live();
    assert_eq!(rig.at("a", NOW + HOUR), Err(Reason::Future));
    assert_eq!(rig.names.vehicle("a"), None);
    assert!(rig.at("a", NOW).is_ok());
    assert_eq!(rig.at("a", NOW + HOUR), Err(Reason::Future));
    assert_eq!(rig.admission.newest(VehicleId(0)), Some(NOW));
    assert!(rig.at("a", NOW - 6 * HOUR).is_ok());
}

#[test]
fn streams_hold_what_belongs_there() {
    let other = 1 - stream_of("a", 2);
    assert_eq!(Rig::new(Stream::Positions { index: other, streams: 2 }).at("a", NOW), Err(Reason::WrongStream));
    assert!(Rig::new(Stream::Positions { index: 1 - other, streams: 2 }).at("a", NOW).is_ok());
    assert_eq!(Rig::new(Stream::Control).at("a", NOW), Err(Reason::WrongStream));
    let vehicle = r#"{"type":"vehicle","vehicle_id":"a","name":"x"}"#;
    assert_eq!(Rig::live().admit(vehicle, NOW), Err(Reason::WrongStream));
    assert!(Rig::new(Stream::Control).admit(vehicle, NOW).is_ok());
    assert!(Rig::new(Stream::Files).admit(vehicle, NOW).is_ok());
}

#[test]
fn a_late_edit_is_raised() {
    let mut rig = Rig::new(Stream::Control);
    let from = |ms: Millis| format!(r#","valid_from":{ms}"#);
    assert_eq!(rig.geofence(&from(NOW + HOUR)), (NOW + HOUR, NOW + HOUR), "it may be announced ahead");
    assert_eq!(rig.geofence(&from(NOW - 6 * HOUR)), (NOW - 6 * HOUR, NOW - 6 * HOUR));
    assert_eq!(rig.geofence(&from(NOW - 7 * HOUR)), (NOW - 7 * HOUR, NOW - 6 * HOUR));
    assert_eq!(rig.geofence(""), (NOW, NOW), "none is the arrival");
}

#[test]
fn an_edit_does_not_arrive_long_before_the_newest_clock() {
    let mut rig = Rig::new(Stream::Control);
    assert!(rig.clock(NOW + 10 * HOUR, NOW + 10 * HOUR).is_ok());
    let from = |ms: Millis| format!(r#","valid_from":{ms}"#);
    assert_eq!(rig.geofence(""), (NOW + 9 * HOUR, NOW + 9 * HOUR), "an hour before the clock");
    assert_eq!(rig.geofence(&from(NOW)), (NOW, NOW + 3 * HOUR), "six more back is what can still change");
}

#[test]
fn an_absurd_arrival_is_no_overflow_and_no_time_of_an_edit() {
    for received_at in ["-99999999999999999999", "99999999999999999999"] {
        let said = format!(r#""received_at":"{received_at}""#);
        let edit = format!(r#"{{"type":"geofence","geofence_id":"g","deleted":true,{said}}}"#);
        let position = format!(r#"{{"type":"position","vehicle_id":"a","ts":{NOW},"lon":1,"lat":2,{said}}}"#);
        let refused = if received_at.starts_with('-') { Reason::Future } else { Reason::Horizon };
        assert_eq!(Rig::new(Stream::Control).admit(&edit, NOW), Err(Reason::TimeRange));
        assert_eq!(Rig::live().admit(&position, NOW), Err(refused));
        assert!(Rig::new(Stream::Files).admit(&edit, NOW).is_ok(), "a replay does not look at it");
    }
}

#[test]
fn a_replay_raises_nothing() {
    let mut rig = Rig::new(Stream::Files);
    assert_eq!(rig.geofence(r#","valid_from":315532800000"#), (315_532_800_000, 315_532_800_000));
    assert_eq!(rig.geofence(""), (BEGINNING, BEGINNING));
}

#[test]
fn a_replay_refuses_nothing_by_arrival() {
    let mut rig = Rig::new(Stream::Files);
    let far = r#"{"type":"position","vehicle_id":"a","ts":4102444799999,"lon":1,"lat":2,"received_at":315532800000}"#;
    assert!(rig.admit(far, 0).is_ok());
    assert!(rig.at("a", 315_532_800_000).is_ok(), "with no lateness nothing is late");
}

#[test]
fn now_in_a_replay_is_the_greatest_fix_or_clock() {
    let mut rig = Rig::new(Stream::Files);
    assert_eq!(rig.admission.now(), BEGINNING);
    assert!(rig.at("a", NOW).is_ok());
    assert!(rig.at("b", NOW - 1).is_ok());
    assert!(rig.withdraw("a", NOW + HOUR).is_ok());
    assert_eq!(rig.admission.now(), NOW);
    assert!(rig.clock(NOW + 1, 0).is_ok());
    assert!(rig.clock(NOW, 0).is_ok());
    assert_eq!(rig.admission.now(), NOW + 1);
}

#[test]
fn now_of_a_live_stream_is_its_newest_clock() {
    let mut rig = Rig::live();
    assert!(rig.at("a", NOW).is_ok());
    assert_eq!(rig.admission.now(), BEGINNING);
    assert!(rig.clock(NOW + 60_000, NOW).is_ok());
    assert_eq!(rig.clock(NOW + 60_001, NOW), Err(Reason::Future));
    assert!(rig.clock(NOW, NOW).is_ok());
    assert_eq!(rig.admission.now(), NOW + 60_000);
}

#[test]
fn seq_orders_positions_of_an_epoch_and_edits_of_the_log() {
    let mut rig = Rig::new(Stream::Files);
    let seq = |accepted| match accepted {
        Ok(Accepted::Position(event)) => u64::from(event.seq),
        Ok(Accepted::Geofence(edit)) => edit.seq,
        other => panic!("{other:?}"),
    };
    let fence = r#"{"type":"geofence","geofence_id":"g","deleted":true}"#;
    assert_eq!((seq(rig.at("a", NOW)), seq(rig.at("a", NOW)), seq(rig.admit(fence, 0))), (0, 1, 0));
    rig.admission.begin_epoch();
    assert_eq!((seq(rig.at("a", NOW)), seq(rig.admit(fence, 0))), (0, 1));
    assert_eq!(rig.names.geofence("g"), Some(GeofenceId(0)));
}
