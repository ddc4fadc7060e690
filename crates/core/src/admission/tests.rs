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
fn a_withdrawal_is_judged_like_a_position_and_moves_no_newest() {
    let mut rig = Rig::live();
    assert!(rig.withdraw("a", NOW).is_ok());
    assert_eq!(rig.admission.newest(VehicleId(0)), None);
    assert!(rig.at("a", NOW - 7 * HOUR).is_ok(), "a withdrawal makes nothing late");
    assert!(rig.withdraw("a", NOW).is_ok());
    assert_eq!(rig.admission.newest(VehicleId(0)), Some(NOW - 7 * HOUR));
    assert_eq!(rig.withdraw("a", NOW - 13 * HOUR - 1), Err(Reason::Late));
    assert_eq!(rig.withdraw("a", NOW + 60_001), Err(Reason::Future), "of a key that holds nothing");
}

#[test]
fn a_withdrawn_newest_gives_the_earlier_one_back() {
    let mut rig = Rig::live();
    rig.clock(NOW, NOW).unwrap();
    let far = NOW + 5 * 365 * 24 * HOUR;
    assert!(rig.at("a", NOW - 2 * HOUR).is_ok() && rig.at("a", NOW - HOUR).is_ok());
    assert!(rig.arriving("a", far, far).is_ok() && rig.arriving("a", far - HOUR, far).is_ok());
    assert_eq!(rig.at("a", NOW), Err(Reason::Late), "its clock was five years ahead");
    assert!(rig.withdraw("a", far).is_ok(), "it holds a position: not from the future");
    assert_eq!(rig.withdraw("a", far), Err(Reason::Future), "it holds none any more");
    assert_eq!(rig.admission.newest(VehicleId(0)), Some(far - HOUR));
    let memory = rig.admission.memory();
    rig.admission = Admission::resume(rig.admission.stream, rig.admission.limits.clone(), memory);
    assert!(rig.withdraw("a", far - HOUR).is_ok());
    assert_eq!(rig.admission.newest(VehicleId(0)), Some(NOW - HOUR));
    assert!(rig.at("a", NOW).is_ok());
    assert!(rig.at("a", NOW - 6 * HOUR).is_ok());
    assert_eq!(rig.at("a", NOW - 7 * HOUR), Err(Reason::Late), "its earlier track is remembered");
}

#[test]
fn what_was_given_up_while_the_newest_was_mistaken_stays_late() {
    let mut rig = Rig::live();
    rig.clock(NOW, NOW).unwrap();
    assert!(rig.at("a", NOW).is_ok() && rig.arriving("a", NOW + 900 * HOUR, NOW + 900 * HOUR).is_ok());
    rig.clock(NOW + 100 * HOUR, NOW + 100 * HOUR).unwrap();
    assert!(rig.withdraw("a", NOW + 900 * HOUR).is_ok());
    assert_eq!(rig.admission.newest(VehicleId(0)), Some(NOW));
    assert_eq!(rig.arriving("a", NOW + 93 * HOUR - 1, NOW + 100 * HOUR), Err(Reason::Late));
    assert!(rig.arriving("a", NOW + 93 * HOUR, NOW + 100 * HOUR).is_ok(), "seven hours before the clock");
}

#[test]
fn what_is_held_may_be_withdrawn_or_corrected_whenever_it_arrives() {
    let (mut rig, later) = (Rig::live(), NOW + 30 * 24 * HOUR);
    assert!(rig.at("a", NOW).is_ok() && rig.at("a", NOW - 6 * HOUR).is_ok());
    assert_eq!(rig.arriving("a", NOW - HOUR, later), Err(Reason::Horizon));
    assert!(rig.arriving("a", NOW - 6 * HOUR, later).is_ok());
    let withdrawn = format!(r#"{{"type":"position","vehicle_id":"a","ts":{},"deleted":true}}"#, NOW - 6 * HOUR);
    assert!(rig.admit(&withdrawn, later).is_ok());
    assert_eq!(rig.admit(&withdrawn, later), Err(Reason::Horizon), "it is held no more");
    assert!(rig.arriving("a", NOW, NOW - HOUR).is_ok(), "nor is it from the future");
}

#[test]
fn zero_is_no_place_unless_it_is_wanted() {
    let zero = |lon: &str| format!(r#"{{"type":"position","vehicle_id":"a","ts":{NOW},"lon":{lon},"lat":-0.0}}"#);
    let mut rig = Rig::live();
    assert_eq!(rig.admit(&zero("0"), NOW), Err(Reason::NullIsland));
    assert_eq!(rig.names.vehicle("a"), None);
    assert_eq!(rig.admit(&zero("0"), NOW - 2 * HOUR), Err(Reason::Future), "that goes first");
    assert!(rig.admit(&zero("1e-7"), NOW).is_ok());
    assert_eq!(rig.admit(&zero("0"), NOW), Err(Reason::NullIsland), "as a correction, too");
    assert_eq!(Rig::new(Stream::Files).admit(&zero("0"), NOW), Err(Reason::NullIsland));
    let limits = Limits { refuse_zero: false, ..Limits::default() };
    rig.admission = Admission::new(rig.admission.stream, limits);
    assert!(rig.admit(&zero("0"), NOW).is_ok());
}

#[test]
fn nothing_arrives_after_its_entry_by_the_machines_clock() {
    let (mut rig, far) = (Rig::live(), NOW + 5 * 365 * 24 * HOUR);
    rig.admission = Admission::new(rig.admission.stream, Limits { wall_clock: true, ..Limits::default() });
    let json = |ts: Millis, said: Millis| {
        format!(r#"{{"type":"position","vehicle_id":"a","ts":{ts},"lon":1,"lat":2,"received_at":{said}}}"#)
    };
    assert_eq!(rig.admit(&json(far, far), NOW), Err(Reason::Future));
    assert!(rig.admit(&json(NOW, far), NOW).is_ok(), "not so long before its arrival");
    assert!(rig.admit(&json(NOW, NOW - 60_000), NOW).is_ok(), "earlier it may be");
    assert_eq!(rig.admit(&format!(r#"{{"type":"clock","now":{far},"received_at":{far}}}"#), NOW), Err(Reason::Future));
    assert!(rig.at("b", NOW).is_ok());
}

#[test]
fn in_a_replay_with_a_lateness_whatever_is_held_may_be_repaired() {
    let mut rig = Rig::new(Stream::Files);
    rig.admission = Admission::new(Stream::Files, Limits { lateness_ms: Some(HOUR), ..Limits::default() });
    assert!(rig.at("a", NOW).is_ok() && rig.at("a", NOW + 9 * HOUR).is_ok());
    assert_eq!(rig.at("a", NOW + HOUR), Err(Reason::Late));
    assert!(rig.at("a", NOW).is_ok() && rig.withdraw("a", NOW + 9 * HOUR).is_ok());
    assert!(rig.at("a", NOW + HOUR).is_ok());
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
    let json = |vehicle: &str, received_at| {
        format!(
            r#"{{"type":"position","vehicle_id":"{vehicle}","ts":{NOW},"lon":1,"lat":2,"received_at":{}}}"#,
            NOW + received_at
        )
    };
    assert!(rig.admit(&json("a", -60_000), 0).is_ok());
    assert_eq!(rig.admit(&json("b", -60_001), NOW), Err(Reason::Future));
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
    assert_eq!(rig.geofence(""), (BEGINNING, NOW + 3 * HOUR), "since ever, as far as it can change");
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
    assert_eq!(rig.geofence(""), (BEGINNING, BEGINNING), "whatever versions it has");
}

#[test]
fn the_first_version_of_an_id_was_always_there() {
    let mut rig = Rig::new(Stream::Control);
    let mut vehicle = |id: &str, arrival| match rig
        .admit(&format!(r#"{{"type":"vehicle","vehicle_id":"{id}","name":"x"}}"#), arrival)
    {
        Ok(Accepted::Vehicle(edit)) => (edit.valid_from, edit.effective_from),
        other => panic!("{other:?}"),
    };
    assert_eq!(vehicle("a", NOW), (BEGINNING, NOW - 6 * HOUR));
    assert_eq!(vehicle("a", NOW + HOUR), (NOW + HOUR, NOW + HOUR));
    assert_eq!(vehicle("b", NOW), (BEGINNING, NOW - 6 * HOUR));
    assert_eq!(rig.geofence(r#","valid_from":1795435200000"#), (NOW, NOW));
    assert_eq!(rig.geofence(""), (NOW, NOW), "it has a version");
    rig.names.intern_vehicle("c");
    let memory = rig.admission.memory();
    rig.admission = Admission::resume(Stream::Control, Limits::default(), memory);
    let named = |rig: &mut Rig, id: &str| {
        let edit = rig.admit(&format!(r#"{{"type":"vehicle","vehicle_id":"{id}","deleted":true}}"#), NOW);
        matches!(edit, Ok(Accepted::Vehicle(edit)) if edit.valid_from != BEGINNING)
    };
    assert!(named(&mut rig, "a") && !named(&mut rig, "c"), "positions are no versions");
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
