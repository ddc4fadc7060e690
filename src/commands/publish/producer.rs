//! From records to entries: where each event goes, when it arrives, and the clocks between.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use watchtower_model::Millis;

use super::Options;
use super::arrival::{Clocks, LogTime, instant};
use super::pace::{Pace, Pacer};
use super::summary::{RecordPlace, Refused};
use watchtower_core::admission::ARRIVAL_SLACK_MS;
use watchtower_core::events::Record;
use watchtower_core::events::{Clock, Event, Limits, Raw, Rejection, stream_of};
use watchtower_inputs::FileFormat;
use watchtower_log::ClockSource;
use watchtower_log::append::{AppendError, Batches, Chunk, Layout, Outlet, Place, Sender, Tally};

/// When events are paced, those of so long are sent together.
const TICK: Duration = Duration::from_millis(2);

/// Shortest interval between clock events of a paced publication, unless no other event is due.
const CLOCK_EVERY: Duration = Duration::from_millis(100);

/// While it waits, it looks this often whether it should stop.
const STOP_EVERY: Duration = Duration::from_millis(50);

/// Why no more records are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The user asked it to stop.
    Interrupted,
    /// Redis takes nothing any more.
    Broken,
}

/// Puts records into streams.
pub(super) struct Producer<'a> {
    options: &'a Options,
    stop: &'a AtomicBool,
    limits: Limits,
    layout: Layout,
    log_time: LogTime,
    /// Earliest arrival of any event: the daemon has appended the machine's time to its streams.
    arrives_from: Option<Millis>,
    clocks: Clocks,
    pacer: Pacer,
    batches: Batches,
    chunk: Chunk,
    sender: Sender,
    /// The least `ts` of the files, if they have positions.
    oldest: Option<Millis>,
    clock_told: Instant,
    pub(super) counts: Counts,
}

/// Numbers of lines passed on, clocks sent, positions behind the horizon and refused records.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) passed_on: u64,
    pub(super) clocks: u64,
    pub(super) behind_horizon: u64,
    pub(super) refused: Refused,
}

impl<'a> Producer<'a> {
    /// Publishes into the streams of `layout` until `stop` is set.
    pub(super) fn new(
        options: &'a Options,
        layout: Layout,
        outlet: Outlet,
        stop: &'a AtomicBool,
        oldest: Option<Millis>,
    ) -> Self {
        let limits = options.limits.clone();
        Self {
            options,
            stop,
            log_time: LogTime::new(limits.clone()),
            arrives_from: layout.is_at_machine_time().then(|| now_ms() - ARRIVAL_SLACK_MS),
            limits,
            clocks: Clocks::new(layout.streams),
            pacer: Pacer::new(options.pace),
            batches: Batches::new(options.target.keys(layout.streams), options.format, options.batch),
            layout,
            chunk: outlet.empty_chunk(),
            sender: Sender::start(outlet),
            oldest,
            clock_told: Instant::now(),
            counts: Counts::default(),
        }
    }

    /// Limits that events are checked against.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether events wait until they are due.
    pub(super) fn is_paced(&self) -> bool {
        self.options.pace != Pace::Unpaced
    }

    /// Publishes a record, or appends it as refused. `is_event`: whether it can be read.
    pub(super) fn take(
        &mut self,
        path: &Path,
        format: FileFormat,
        record: Record<'_>,
        is_event: bool,
    ) -> ControlFlow<End> {
        if self.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(End::Interrupted);
        }
        let Record { position, raw, result } = record;
        match result {
            Ok(event) => self.publish(event),
            Err(_) if format == FileFormat::Ndjson && !is_event && raw.whole.is_none() => self.pass_on(raw),
            Err(rejection) => self.refuse(RecordPlace::new(path, format, position), rejection, raw),
        }
    }

    /// Ends the log, if it has reached its end, and waits until all is in the streams.
    pub(super) fn finish(mut self, complete: bool) -> (Counts, Result<Tally, AppendError>) {
        let mut flow = ControlFlow::Continue(());
        if complete
            && self.layout.clock == ClockSource::Log
            && let Some(now) = self.clocks.last(&self.log_time)
        {
            flow = self.tell(now);
        }
        if flow.is_continue() && self.flush().is_continue() {
            // If it is not accepted, finishing returns the reason.
            let _ = self.send();
        }
        (self.counts, self.sender.finish())
    }

    /// Publishes an event, once it is due.
    pub(super) fn publish(&mut self, mut event: Event<'_>) -> ControlFlow<End> {
        if self.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(End::Interrupted);
        }
        // Until it is due, nothing of it is known.
        if self.options.pace != Pace::Unpaced
            && let Some(due) = self.pacer.due(instant(&event), Instant::now)
        {
            self.wait_until(due)?;
        }
        let Self { log_time, oldest, .. } = self;
        log_time.stamp(&mut event, || oldest.unwrap_or_else(now_ms));
        self.push(&event)
    }

    fn push(&mut self, event: &Event<'_>) -> ControlFlow<End> {
        let place = match event {
            Event::Position(report) => {
                let arrival = report.received_at.max(self.arrives_from);
                let behind_ms = arrival.map_or(0, |arrival| arrival.saturating_sub(report.ts));
                self.counts.behind_horizon += u64::from(behind_ms > self.limits.horizon_ms);
                Place::Positions(stream_of(&report.vehicle_id, self.layout.streams))
            }
            Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_) => Place::Control,
            Event::Clock(clock) => {
                self.push_clock(*clock, true)?;
                return self.after_push();
            }
        };
        self.batches.push(place, event, true, &mut self.chunk);
        self.clocks.count();
        self.after_push()
    }

    /// Appends a clock to every stream, so that each says how far it is.
    fn push_clock(&mut self, clock: Clock, of_file: bool) -> ControlFlow<End> {
        for place in self.batches.places() {
            let counted = of_file && place == Place::Control;
            self.batches.push(place, &Event::Clock(clock), counted, &mut self.chunk);
            self.send_if_full()?;
        }
        self.clocks.tell(clock.now, &self.log_time);
        ControlFlow::Continue(())
    }

    /// Tells the time of the log.
    fn tell(&mut self, now: Millis) -> ControlFlow<End> {
        self.counts.clocks += 1;
        self.clock_told = Instant::now();
        self.push_clock(Clock { now, received_at: self.log_time.arrival() }, false)
    }

    /// Every so many events: a clock if one is due, and nothing is held back any longer.
    fn after_push(&mut self) -> ControlFlow<End> {
        if self.clocks.enough_events() {
            if let Some(now) = self.due_clock() {
                self.tell(now)?;
            }
            self.flush()?;
        }
        self.send_if_full()
    }

    fn due_clock(&self) -> Option<Millis> {
        match self.layout.clock {
            ClockSource::Log => self.clocks.due(&self.log_time),
            ClockSource::Wall => None,
        }
    }

    /// Sends what there is and waits.
    fn wait_until(&mut self, due: Instant) -> ControlFlow<End> {
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return ControlFlow::Continue(());
        }
        if (wait >= CLOCK_EVERY || self.clock_told.elapsed() >= CLOCK_EVERY)
            && let Some(now) = self.due_clock()
        {
            self.tell(now)?;
        }
        self.flush()?;
        self.send()?;
        let until = due.max(Instant::now() + TICK);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return ControlFlow::Continue(());
            }
            if self.stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(End::Interrupted);
            }
            std::thread::sleep(left.min(STOP_EVERY));
        }
    }

    fn pass_on(&mut self, raw: Raw<'_>) -> ControlFlow<End> {
        self.counts.passed_on += 1;
        let place = place_of_line(raw.bytes, self.layout.streams);
        self.batches.pass_on(place, &as_one_event(raw.bytes), &mut self.chunk);
        self.clocks.count();
        self.after_push()
    }

    /// Appends a record that is refused, with the reason.
    fn refuse(&mut self, place: RecordPlace, rejection: Rejection, raw: Raw<'_>) -> ControlFlow<End> {
        // A line of CSV belongs to no stream more than to another.
        self.batches.refuse(place_of_line(raw.bytes, self.layout.streams), &rejection, &raw, &mut self.chunk);
        self.counts.refused.add(place, rejection);
        self.clocks.count();
        self.after_push()
    }

    fn flush(&mut self) -> ControlFlow<End> {
        for place in self.batches.places() {
            self.batches.flush(place, &mut self.chunk);
            self.send_if_full()?;
        }
        ControlFlow::Continue(())
    }

    fn send_if_full(&mut self) -> ControlFlow<End> {
        if self.chunk.is_full() { self.send() } else { ControlFlow::Continue(()) }
    }

    fn send(&mut self) -> ControlFlow<End> {
        if self.chunk.is_empty() || self.sender.send(self.chunk.take()) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(End::Broken)
    }
}

/// The time of this machine.
pub fn now_ms() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

/// Readable members of a line that is not a valid event.
#[derive(Deserialize)]
struct Hint<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    vehicle_id: Option<Cow<'a, str>>,
}

/// Where the event would belong if it were one: a daemon may accept what is refused here.
fn place_of_line(line: &[u8], streams: u16) -> Place {
    match serde_json::from_slice(line) {
        Ok(Hint { kind: Some(kind), vehicle_id: Some(id) }) if kind == "position" => {
            Place::Positions(stream_of(&id, streams))
        }
        Ok(_) | Err(_) => Place::Control,
    }
}

/// An entry's array holds events, but a line's is none: within another array it stays one refused event.
fn as_one_event(line: &[u8]) -> Cow<'_, [u8]> {
    match serde_json::from_slice::<Vec<&RawValue>>(line) {
        Ok(_) => [b"[", line, b"]"].concat().into(),
        Err(_) => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtower_core::events::{Reason, decode_entry};

    #[test]
    fn a_refused_line_goes_where_its_event_would() {
        let place = |line: &str| place_of_line(line.as_bytes(), 16);
        assert_eq!(place(r#"{"type":"position","vehicle_id":"123456789","ts":1}"#), Place::Positions(3));
        for line in ["", "nonsense", "[]", r#"{"type":"geofence"}"#, r#"{"type":"position","vehicle_id":7}"#] {
            assert_eq!(place(line), Place::Control, "{line}");
        }
    }

    #[test]
    fn an_array_on_a_line_is_refused_as_one() {
        let clock = r#"[{"type":"clock","now":"2026-11-23T06:00:00Z"}]"#;
        for line in [clock, "[]", "[1,2]", "[1,2", "{", "7"] {
            let entry = as_one_event(line.as_bytes());
            let mut reasons = Vec::new();
            let fields: [(&[u8], &[u8]); 1] = [(b"json", &entry)];
            decode_entry(&fields, &Limits::default(), |decoded| {
                reasons.push((decoded.result.unwrap_err().reason, decoded.bytes.into_owned()));
            })
            .unwrap();
            assert_eq!(reasons, [(Reason::Malformed, line.as_bytes().to_vec())]);
        }
    }
}
