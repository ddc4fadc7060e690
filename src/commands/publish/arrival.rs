//! Arrival of events of history, and the log's clock events between them.

use watchtower_model::Millis;

use watchtower_core::events::{Event, Fix, Limits};

/// Shortest advance of log time between two clock events.
const CLOCK_EVERY_MS: Millis = 1000;

/// Without pacing, this many events lie between two clocks at least, so that they cost little.
const CLOCK_EVERY_EVENTS: u64 = 1000;

/// Each clock is an entry in every stream: with many streams, more events lie between two.
const CLOCK_EVERY_EVENTS_PER_STREAM: u64 = 8;

/// The running maximum of the time of a log.
#[derive(Clone, Debug)]
pub(super) struct LogTime {
    limits: Limits,
    arrival: Option<Millis>,
}

impl LogTime {
    /// Before the first event.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, arrival: None }
    }

    /// When an event arrives that comes now.
    pub(super) fn arrival(&self) -> Option<Millis> {
        self.arrival
    }

    /// Present time of the clock, epoch milliseconds.
    pub(super) fn clock(&self) -> Option<Millis> {
        self.arrival
    }

    /// Takes the next event into account and says when it arrives. `otherwise`: if it is an edit
    /// and nothing has said yet what time it is.
    pub(super) fn stamp(&mut self, event: &mut Event<'_>, otherwise: impl FnOnce() -> Millis) {
        let arrival = self.observe(event);
        if event.received_at().is_none() {
            let arrival = match (arrival, valid_from(event)) {
                (Some(arrival), _) => arrival,
                (None, Some(valid_from)) => valid_from,
                (None, None) => otherwise(),
            };
            *event.received_at_mut() = Some(arrival);
        }
    }

    /// When an event arrives that has no arrival of its own. A withdrawal speaks of a mistaken time: it arrives when
    /// it holds, and moves the time of nothing else. What an event says of its own arrival may be mistaken, too.
    fn observe(&mut self, event: &Event<'_>) -> Option<Millis> {
        let Some(said) = instant(event) else { return self.arrival };
        if matches!(event, Event::Position(report) if report.fix == Fix::Withdrawn) {
            return self.arrival.max(Some(said));
        }
        // A daemon refuses what is so far ahead of its own arrival: it says nothing about the others'.
        let is_ahead = |own: Millis| said.saturating_sub(own) > self.limits.future_tolerance_ms;
        if !event.received_at().is_some_and(is_ahead) {
            self.arrival = self.arrival.max(Some(said));
        }
        self.arrival
    }
}

/// Instant of the event, if it advances the log's time.
pub(super) fn instant(event: &Event<'_>) -> Option<Millis> {
    match event {
        Event::Position(report) => Some(report.ts),
        Event::Clock(clock) => Some(clock.now),
        Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_) => None,
    }
}

fn valid_from(event: &Event<'_>) -> Option<Millis> {
    match event {
        Event::Geofence(change) => change.valid_from,
        Event::Vehicle(change) => change.valid_from,
        Event::Rule(change) => change.valid_from,
        Event::Position(_) | Event::Clock(_) => None,
    }
}

/// When the next clock is due, and when entries are to end so that clocks are not held back.
#[derive(Clone, Debug)]
pub(super) struct Clocks {
    /// Newest appended clock; never ahead of the log's time.
    told: Option<Millis>,
    /// Whether the last event was something else.
    behind: bool,
    events: u64,
    every_events: u64,
}

impl Clocks {
    /// For a pipeline of this many streams.
    pub(super) fn new(streams: u16) -> Self {
        let every_events = CLOCK_EVERY_EVENTS.max(CLOCK_EVERY_EVENTS_PER_STREAM * u64::from(streams));
        Self { told: None, behind: false, events: 0, every_events }
    }

    /// An event was published that is no clock.
    pub(super) fn count(&mut self) {
        self.events += 1;
        self.behind = true;
    }

    /// This clock was published. One of a file may be ahead of what can be believed.
    pub(super) fn tell(&mut self, now: Millis, log_time: &LogTime) {
        self.told = self.told.max(Some(now).min(log_time.clock()));
        self.behind = false;
    }

    /// Whether enough events have passed; if so, the next ones are counted from none.
    pub(super) fn enough_events(&mut self) -> bool {
        let enough = self.events >= self.every_events;
        if enough {
            self.events = 0;
        }
        enough
    }

    /// The clock event that is due, if the log's time has advanced enough.
    pub(super) fn due(&self, log_time: &LogTime) -> Option<Millis> {
        let now = log_time.clock()?;
        self.told.is_none_or(|told| now.saturating_sub(told) >= CLOCK_EVERY_MS).then_some(now)
    }

    /// The clock at the end of the log, unless the last event was that.
    pub(super) fn last(&self, log_time: &LogTime) -> Option<Millis> {
        let now = log_time.clock()?;
        (self.behind || self.told < Some(now)).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtower_core::events::json;

    const T: Millis = 1_795_413_600_000;

    /// The arrival that an event gets, and the clock then.
    fn stamped(time: &mut LogTime, text: &str) -> (Option<Millis>, Option<Millis>) {
        let limits = Limits::default();
        let mut event = json::decode(text.as_bytes(), &limits).unwrap();
        time.stamp(&mut event, || 7);
        (event.received_at().map(|ms| if ms > 1000 { ms - T } else { ms }), time.clock().map(|ms| ms - T))
    }

    fn position(after_ms: Millis, more: &str) -> String {
        format!(r#"{{"type":"position","vehicle_id":"a","ts":{},"lon":1,"lat":1{more}}}"#, T + after_ms)
    }

    #[test]
    fn history_arrives_at_the_newest_time_so_far() {
        let mut time = LogTime::new(Limits::default());
        for (after_ms, arrival) in [(0, 0), (5000, 5000), (2000, 5000), (6000, 6000)] {
            assert_eq!(stamped(&mut time, &position(after_ms, "")), (Some(arrival), Some(arrival)));
        }
        let clock = format!(r#"{{"type":"clock","now":{}}}"#, T + 9000);
        assert_eq!(stamped(&mut time, &clock), (Some(9000), Some(9000)));
        let vehicle = format!(r#"{{"type":"vehicle","vehicle_id":"a","valid_from":{}}}"#, T + 20_000);
        assert_eq!(stamped(&mut time, &vehicle), (Some(9000), Some(9000)));
    }

    #[test]
    fn an_arrival_of_its_own_is_kept_and_is_nobody_elses() {
        let mut time = LogTime::new(Limits::default());
        let own = |after_ms: Millis| format!(r#","received_at":{}"#, T + after_ms);
        assert_eq!(stamped(&mut time, &position(0, &own(99_000_000))), (Some(99_000_000), Some(0)));
        assert_eq!(stamped(&mut time, &position(1000, "")), (Some(1000), Some(1000)));
        assert_eq!(stamped(&mut time, &position(1000, &own(2000))), (Some(2000), Some(1000)));
        // Within the tolerance, and beyond it: the latter is refused as from the future.
        assert_eq!(stamped(&mut time, &position(62_000, &own(5000))), (Some(5000), Some(62_000)));
        assert_eq!(stamped(&mut time, &position(99_000_000, &own(6000))), (Some(6000), Some(62_000)));
        assert_eq!(stamped(&mut time, &position(0, r#","received_at":-5"#)), (Some(-5), Some(62_000)));
        assert_eq!(stamped(&mut time, &position(0, "")), (Some(62_000), Some(62_000)));
    }

    #[test]
    fn a_withdrawal_arrives_when_it_holds_and_moves_no_time() {
        let mut time = LogTime::new(Limits::default());
        let withdrawn = format!(r#"{{"type":"position","vehicle_id":"a","ts":{},"deleted":true}}"#, T + 5000);
        assert_eq!(stamped(&mut time, &withdrawn), (Some(5000), None));
        assert_eq!(stamped(&mut time, &position(0, "")), (Some(0), Some(0)));
        assert_eq!(stamped(&mut time, &position(9000, "")), (Some(9000), Some(9000)));
        assert_eq!(stamped(&mut time, &withdrawn), (Some(9000), Some(9000)));
    }

    #[test]
    fn an_edit_before_all_positions_is_not_raised() {
        let mut time = LogTime::new(Limits::default());
        let edit = format!(r#"{{"type":"geofence","geofence_id":"g","deleted":true,"valid_from":{}}}"#, T - 3);
        assert_eq!(stamped(&mut time, &edit), (Some(-3), None));
        let undated = r#"{"type":"geofence","geofence_id":"g","deleted":true}"#;
        assert_eq!(stamped(&mut time, undated), (Some(7), None));
        assert_eq!(stamped(&mut time, &position(0, "")), (Some(0), Some(0)));
        assert_eq!(stamped(&mut time, undated), (Some(0), Some(0)));
    }

    #[test]
    fn clocks_are_told_when_the_log_has_gone_on() {
        let (mut time, mut clocks) = (LogTime::new(Limits::default()), Clocks::new(1));
        assert_eq!((clocks.due(&time), clocks.last(&time)), (None, None));
        let go_on = |time: &mut LogTime, clocks: &mut Clocks, after_ms| {
            stamped(time, &position(after_ms, ""));
            clocks.count();
        };
        go_on(&mut time, &mut clocks, 0);
        assert_eq!(clocks.due(&time), Some(T));
        clocks.tell(T, &time);
        assert_eq!(clocks.last(&time), None, "it is told already");
        go_on(&mut time, &mut clocks, 999);
        assert_eq!((clocks.due(&time), clocks.last(&time)), (None, Some(T + 999)));
        go_on(&mut time, &mut clocks, 1000);
        assert_eq!(clocks.due(&time), Some(T + 1000));
        clocks.tell(T + 90_000, &time);
        assert_eq!((clocks.due(&time), clocks.last(&time)), (None, None), "it is not believed");
        go_on(&mut time, &mut clocks, 500);
        assert_eq!(clocks.last(&time), Some(T + 1000), "clocks never go back, and something is behind the last");
    }

    #[test]
    fn many_streams_have_fewer_clocks() {
        for (streams, every) in [(1, 1000), (125, 1000), (1024, 8192)] {
            let mut clocks = Clocks::new(streams);
            (1..every).for_each(|_| clocks.count());
            assert!(!clocks.enough_events());
            clocks.count();
            assert!(clocks.enough_events());
            assert!(!clocks.enough_events());
        }
    }
}
