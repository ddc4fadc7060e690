//! Publishing files into a real Redis: what the streams hold is what the files said, in order.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use watchtower::commands::publish::{Options, Pace, Summary, publish};
use watchtower_core::events::{Event, Fix, Limits, Reason, decode_entry, stream_of};
use watchtower_inputs::Present;
use watchtower_log::ClockSource as ClockKind;
use watchtower_log::ClockSource;
use watchtower_log::append::{Format, PipelineName, Target, Wanted};

use crate::support::rng::Rng;
use crate::support::servers::redis::{RedisOptions, RedisServer};

type Millis = i64;

const T0: Millis = 1_795_413_600_000;
const PIPELINE: &str = "lagos";

/// An event of a stream, or the reason why the daemon will refuse it, with its bytes.
type Read = Result<Event<'static>, (Reason, Vec<u8>)>;

/// Names and values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Files in a folder that lives as long as this.
struct Files {
    folder: tempfile::TempDir,
    options: Options,
}

impl Files {
    fn new(server: &RedisServer) -> Self {
        let target =
            Target::Redis { url: SecretString::from(server.url()), pipeline: PipelineName::parse(PIPELINE).unwrap() };
        let options = Options {
            reading: Default::default(),
            geofences: Vec::new(),
            positions: Vec::new(),
            events: Vec::new(),
            target,
            wanted: Wanted::default(),
            pace: Pace::Unpaced,
            format: Format::Bin,
            batch: 64,
            limits: Limits::default(),
            present: Present::At(T0 + 30 * 86_400_000),
        };
        Self { folder: tempfile::tempdir().unwrap(), options }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn geofences(mut self, content: &str) -> Self {
        self.options.geofences.push(self.write("geofences.geojson", content));
        self
    }

    fn positions(mut self, content: &str) -> Self {
        self.options.positions.push(self.write("positions.csv", content));
        self
    }

    fn events(mut self, content: impl AsRef<[u8]>) -> Self {
        self.options.events.push(self.write("events.ndjson", content));
        self
    }

    fn publish(&self) -> Summary {
        publish(&self.options, &AtomicBool::new(false), &mut |_, _, _| {}).unwrap()
    }
}

/// The entries of a stream: time in the id, fields.
fn entries(server: &RedisServer, key: &str) -> Vec<(Millis, Fields)> {
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let found: Vec<(String, Fields)> = redis::cmd("XRANGE").arg(key).arg("-").arg("+").query(&mut connection).unwrap();
    found.into_iter().map(|(id, fields)| (id.split_once('-').unwrap().0.parse().unwrap(), fields)).collect()
}

fn stream(server: &RedisServer, key: &str) -> Vec<Read> {
    let mut all = Vec::new();
    for (_, fields) in entries(server, key) {
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        decode_entry(&fields, &Limits::default(), |decoded| {
            let bytes = decoded.bytes.into_owned();
            all.push(decoded.result.map(Event::into_owned).map_err(|rejection| (rejection.reason, bytes)));
        })
        .unwrap();
    }
    all
}

/// The streams of the pipeline, the control stream last.
fn streams(server: &RedisServer, streams: u16) -> Vec<Vec<Read>> {
    let name = PipelineName::parse(PIPELINE).unwrap();
    let keys = (0..streams).map(|index| name.events_key(index)).chain([name.control_key()]);
    keys.map(|key| stream(server, &key)).collect()
}

fn redis_command(server: &RedisServer, words: &[&str]) {
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    redis::cmd(words[0]).arg(&words[1..]).exec(&mut connection).unwrap();
}

/// The least instant of a position of the files.
fn oldest(options: &Options) -> Option<Millis> {
    let mut oldest = None;
    for (path, format) in watchtower_inputs::in_order(&options.geofences, &options.positions, &options.events) {
        let mut source = watchtower_inputs::open(path, format, &Limits::default()).unwrap();
        while let Some(record) = source.next_record().unwrap() {
            if let Ok(Event::Position(report)) = record.result
                && report.fix != Fix::Withdrawn
            {
                oldest = Some(oldest.map_or(report.ts, |oldest: Millis| oldest.min(report.ts)));
            }
        }
    }
    oldest
}

/// What the files say, with arrivals, by the stream it belongs in. Clocks are left out, except for
/// where they move the time.
fn expected(options: &Options, streams: u16) -> (Vec<Vec<Read>>, Millis) {
    let mut by_stream = vec![Vec::new(); usize::from(streams) + 1];
    let mut newest = None;
    let oldest = oldest(options).or(Some(T0));
    for (path, format) in watchtower_inputs::in_order(&options.geofences, &options.positions, &options.events) {
        let mut source = watchtower_inputs::open(path, format, &Limits::default()).unwrap();
        while let Some(record) = source.next_record().unwrap() {
            let mut event = match record.result {
                Ok(event) => event.into_owned(),
                Err(rejection) => {
                    by_stream[usize::from(streams)].push(Err((rejection.reason, record.raw.bytes.to_vec())));
                    continue;
                }
            };
            let (index, instant, valid_from) = match &event {
                Event::Position(report) => (stream_of(&report.vehicle_id, streams), Some(report.ts), None),
                Event::Clock(clock) => (0, Some(clock.now), None),
                Event::Geofence(change) => (streams, None, change.valid_from),
                Event::Vehicle(change) => (streams, None, change.valid_from),
                Event::Rule(change) => (streams, None, change.valid_from),
            };
            let withdraws = matches!(&event, Event::Position(report) if report.fix == Fix::Withdrawn);
            let counted = newest.max(instant);
            let is_ahead = |own| instant > Some(own + Limits::default().future_tolerance_ms);
            if !withdraws && !event.received_at().is_some_and(is_ahead) {
                newest = counted;
            }
            let arrival = event.received_at_mut();
            *arrival = arrival.or(if withdraws { counted } else { newest }).or(valid_from).or(oldest);
            if !matches!(event, Event::Clock(_)) {
                by_stream[usize::from(index)].push(Ok(event));
            }
        }
    }
    (by_stream, newest.unwrap())
}

fn clocks(events: &[Read]) -> Vec<Millis> {
    let now = |event: &Read| match event {
        Ok(Event::Clock(clock)) => Some(clock.now),
        Ok(Event::Position(_) | Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_)) | Err(_) => None,
    };
    events.iter().filter_map(now).collect()
}

fn without_clocks(events: &[Read]) -> Vec<Read> {
    events.iter().filter(|event| !matches!(event, Ok(Event::Clock(_)))).cloned().collect()
}

const GEOFENCES: &str = r#"{"type":"FeatureCollection","features":[
    {"type":"Feature","id":"dated","properties":{"valid_from":"2026-11-20T00:00:00Z","tags":["a","b"]},"geometry":
        {"type":"Polygon","coordinates":[[[3.47,6.55],[3.48,6.55],[3.48,6.56],[3.47,6.56],[3.47,6.55]]]}},
    {"type":"Feature","id":"since the first","properties":{"radius_m":150,"min_dwell_s":300},"geometry":
        {"type":"Point","coordinates":[3.4,6.5]}}]}"#;

/// Rows of twenty vehicles, some late, some twice, the first at [`T0`].
fn rows(count: i64) -> String {
    let mut rng = Rng::new(7);
    let mut text = "vehicle_id,ts,lon,lat,speed_kmh,ignition,fuel\n".to_owned();
    for n in 0..count {
        let late = if n > 0 && rng.below(10) == 0 { rng.below(600_000) as i64 } else { 0 };
        let (ts, vehicle) = (T0 + n * 50 - late, rng.below(20));
        text += &format!("T{vehicle},{ts},3.{:04},6.5,{},yes,{n}\n", rng.below(10_000), rng.below(80));
    }
    text
}

/// Events that are all but in order: edits, a withdrawal, arrivals of their own, clocks.
fn lines() -> String {
    let t = T0 + 300_000;
    [
        r#"{"type":"vehicle","vehicle_id":"T1","name":"MACK","fleet":"VPC","speed_limit_kmh":60}"#.to_owned(),
        format!(r#"{{"type":"clock","now":{t}}}"#),
        format!(r#"{{"type":"position","vehicle_id":"T1","ts":{T0},"deleted":true}}"#),
        format!(r#"{{"type":"position","vehicle_id":"T2","ts":{},"lon":3,"lat":6,"received_at":{}}}"#, t - 9, t + 5000),
        r#"{"type":"geofence","geofence_id":"dated","deleted":true}"#.to_owned(),
        format!(r#"{{"type":"clock","now":{}}}"#, t + 70_000),
        format!(r#"{{"type":"position","vehicle_id":"T3","ts":{},"lon":3,"lat":6}}"#, t + 60_000),
    ]
    .join("\n")
}

/// What the streams hold is what the files say, and the clocks between are as they should be.
fn check(server: &RedisServer, options: &Options, clock: ClockKind, streams_count: u16) {
    let what = format!("{:?} in {streams_count} streams", options.format);
    let found = streams(server, streams_count);
    let (expected, newest) = expected(options, streams_count);
    let told = clocks(&found[0]);
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let events = without_clocks(found);
        assert_eq!(events.len(), expected.len(), "{what}: stream {index}");
        for (found, expected) in events.iter().zip(expected) {
            assert_eq!(found, expected, "{what}: stream {index}");
        }
        assert_eq!(clocks(found), told, "{what}: stream {index} has the clocks of the first");
        let mut now = Millis::MIN;
        for event in found.iter().flatten() {
            now = clocks(&[Ok(event.clone())]).first().map_or(now, |told| now.max(*told));
            assert!(event.received_at() >= Some(now), "{what}: in stream {index} a clock is ahead of {event:?}");
        }
        if clock == ClockSource::Log {
            let last = clocks(&found[found.len() - 1..]);
            assert_eq!(last, [newest], "{what}: stream {index} ends with the newest time");
        }
    }
    assert!(told.is_sorted(), "{what}: clocks go back: {told:?}");
}

#[test]
fn streams_hold_what_the_files_say_in_every_shape() {
    let server = RedisServer::start(RedisOptions::default());
    let mut files = Files::new(&server).geofences(GEOFENCES).positions(&rows(5000)).events(lines());
    for format in [Format::Bin, Format::Json, Format::Plain] {
        for streams_count in [1, 4] {
            redis_command(&server, &["FLUSHALL"]);
            files.options.format = format;
            files.options.wanted = Wanted { streams: Some(streams_count), clock: None };
            let summary = files.publish();
            check(&server, &files.options, ClockSource::Log, streams_count);
            assert_eq!((summary.published, summary.refused.count), (2 + 5000 + 7, 0));
            assert_eq!(summary.clocks, 5 + 1, "one every thousand events, and the last");
            let keys = (0..streams_count).map(|index| format!("wt:{PIPELINE}:events:{index}"));
            let all_keys: Vec<_> = keys.chain([format!("wt:{PIPELINE}:control")]).collect();
            let in_redis: usize = all_keys.iter().map(|key| entries(&server, key).len()).sum();
            assert_eq!(summary.entries, in_redis as u64);
        }
    }
}

#[test]
fn an_entry_holds_no_more_events_than_asked_for() {
    let server = RedisServer::start(RedisOptions::default());
    let mut files = Files::new(&server).positions(&rows(100));
    files.options.wanted.clock = Some(ClockSource::Wall);
    for (format, batch, expected) in [(Format::Bin, 64, 2), (Format::Json, 30, 4), (Format::Json, 1, 100)] {
        redis_command(&server, &["FLUSHALL"]);
        (files.options.format, files.options.batch) = (format, batch);
        assert_eq!(files.publish().entries, expected);
        check(&server, &files.options, ClockSource::Wall, 1);
    }
}

#[test]
fn the_daemon_says_how_many_streams_and_whose_clock() {
    let server = RedisServer::start(RedisOptions::default());
    redis_command(&server, &["HSET", "wt:lagos:pipeline", "streams", "3", "clock", "wall"]);
    let files = Files::new(&server).positions(&rows(2000)).events(lines());
    let summary = files.publish();
    assert_eq!((summary.layout.streams, summary.layout.clock, summary.clocks), (3, ClockSource::Wall, 0));
    check(&server, &files.options, ClockSource::Wall, 3);
    assert_eq!(clocks(&streams(&server, 3)[3]).len(), 2, "those of the file");
}

#[test]
fn what_is_no_event_is_appended_for_the_daemon_to_keep() {
    let server = RedisServer::start(RedisOptions::default());
    let clock = r#"{"type":"clock","now":"2026-11-23T06:00:00Z"}"#;
    let mut lines = format!("nonsense\n{clock}\n[{clock}]\n").into_bytes();
    lines.extend(b"{\"type\":\"clock\",\"now\":\"\xff\"}\n");
    let bad_row = "T1,2026-11-23T06:00:00Z,200,6.5,1,yes,1\n";
    let files = Files::new(&server)
        .geofences(r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":null}]}"#)
        .positions(&(rows(3) + &bad_row.repeat(20)))
        .events(&lines);
    let summary = files.publish();
    check(&server, &files.options, ClockSource::Log, 1);
    assert_eq!((summary.published, summary.passed_on, summary.refused.count), (3 + 4, 3, 21));
    let [places @ .., last] = &summary.refused.first[..] else { panic!() };
    assert_eq!(places.len(), 9);
    assert!(places[0].0.to_string().ends_with("geofences.geojson, feature 1"));
    assert!(places[1].0.to_string().ends_with("positions.csv, line 5"));
    assert_eq!(last.1.reason, Reason::Coordinates);
    let refused: Vec<_> = streams(&server, 1)[1].iter().filter_map(|event| event.clone().err()).collect();
    assert_eq!(refused.len(), 1 + 20 + 3);
    assert!(refused[1..21].iter().all(|kept| *kept == (Reason::Coordinates, bad_row.trim_end().into())));
    assert_eq!(refused[22], (Reason::Malformed, format!("[{clock}]").into_bytes()));
}

#[test]
fn a_stop_leaves_whole_entries_and_says_where() {
    let server = RedisServer::start(RedisOptions::default());
    let files = Files::new(&server).positions(&rows(20_000));
    let stop = AtomicBool::new(false);
    // Not in the first reading, which publishes nothing.
    let summary =
        publish(&files.options, &stop, &mut |_, _, records| stop.store(records > 0, Ordering::Relaxed)).unwrap();
    let place = summary.interrupted_at.unwrap();
    let events = streams(&server, 1).remove(0);
    let published = without_clocks(&events).len() as u64;
    assert_eq!((published, place.position), (summary.published, summary.published + 2), "the header is a line too");
    assert!(published < 20_000);
    assert!(matches!(events.last(), Some(Ok(Event::Clock(_)))));
}

#[test]
fn paced_events_are_not_early() {
    let server = RedisServer::start(RedisOptions::default());
    let mut files = Files::new(&server).positions(&rows(60));
    let ids = || -> Vec<(Millis, Event<'static>)> {
        let mut all = Vec::new();
        for (ms, fields) in entries(&server, "wt:lagos:events:0") {
            let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            decode_entry(&fields, &Limits::default(), |decoded| all.push((ms, decoded.result.unwrap().into_owned())))
                .unwrap();
        }
        all
    };
    // 50 ms between two rows, at 10 times their speed.
    files.options.pace = Pace::Speedup { factor: 10.0 };
    assert!(files.publish().elapsed >= Duration::from_millis(59 * 5));
    let sent = ids();
    for (ms, event) in &sent {
        let due = sent[0].0 + (event.received_at().unwrap() - T0) / 10;
        // Server and client round their clocks.
        assert!(*ms >= due - 2, "{event:?} was sent {} ms early", due - ms);
    }
    check(&server, &files.options, ClockSource::Log, 1);

    redis_command(&server, &["FLUSHALL"]);
    files.options.pace = Pace::Rate { per_s: 200.0 };
    files.publish();
    let sent: Vec<_> = ids().into_iter().filter(|(_, event)| matches!(event, Event::Position(_))).collect();
    for (n, (ms, _)) in sent.iter().enumerate() {
        assert!(*ms >= sent[0].0 + n as Millis * 5 - 2, "event {n} was early");
    }
    check(&server, &files.options, ClockSource::Log, 1);
}

#[test]
fn a_withdrawal_ahead_of_everything_moves_no_clock() {
    let server = RedisServer::start(RedisOptions::default());
    let withdrawn = format!(r#"{{"type":"position","vehicle_id":"T1","ts":{},"deleted":true}}"#, T0 + 9_000_000);
    Files::new(&server).positions(&rows(1)).events(withdrawn).publish();
    let events = streams(&server, 1).remove(0);
    assert_eq!(clocks(&events), [T0]);
    let Some(Ok(Event::Position(report))) = events.get(1) else { panic!("{events:?}") };
    assert_eq!((&report.fix, report.received_at), (&Fix::Withdrawn, Some(T0 + 9_000_000)));
}

fn watchtower(args: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchtower")).args(args).current_dir(folder).output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The exit code and everything that is printed.
fn run(folder: &Path, command: &str) -> (Option<i32>, String) {
    let output = watchtower(&command.split(' ').collect::<Vec<_>>(), folder);
    (output.status.code(), printed(&output))
}

#[test]
fn faults_are_explained() {
    let server = RedisServer::start(RedisOptions::default());
    let files = Files::new(&server).positions(&rows(50_000));
    let (folder, url) = (files.folder.path(), server.url());
    let address = url.strip_prefix("redis://").unwrap();
    let publish = |url: &str, more: &str| {
        run(folder, &format!("publish --redis {url} --pipeline lagos --positions positions.csv{more}"))
    };
    let expect = |(code, text): (Option<i32>, String), expected_code: i32, words: &[&str]| {
        assert_eq!(code, Some(expected_code), "{text}");
        for word in words {
            assert!(text.contains(word), "{word:?} in {text}");
        }
        assert!(!text.contains("geheim"), "{text}");
    };
    redis_command(&server, &["HSET", "wt:lagos:pipeline", "streams", "4", "clock", "wall"]);
    expect(publish(&url, " --streams 2"), 2, &["4 event streams", "not 2"]);
    expect(publish(&url, " --clock log"), 2, &["clock is wall", "not log"]);
    std::fs::write(folder.join("old.csv"), "vehicle_id,ts,lon,lat\nT1,2016-11-23T06:00:00Z,3.4,6.5\n").unwrap();
    let history = run(folder, &format!("publish --redis {url} --pipeline lagos --positions old.csv"));
    expect(history, 0, &["1 position is more than 14d older than the machine's time"]);
    expect(publish("geheim", ""), 2, &["redis://[user:password@]host"]);
    expect(publish("redis://127.0.0.1:1", ""), 1, &["nothing listens there"]);
    expect(publish(&format!("redis://fleet:geheim@{address}"), ""), 1, &["password is wrong", address]);
    expect(publish(&url, " missing.csv"), 1, &["missing.csv"]);

    redis_command(&server, &["CONFIG", "SET", "maxmemory", "3mb"]);
    expect(publish(&url, ""), 1, &["stopped after", "raise its maxmemory"]);
    redis_command(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    redis_command(&server, &["SET", "wt:astray:control", "x"]);
    let astray = run(folder, &format!("geofences delete yard --redis {url} --pipeline astray"));
    expect(astray, 1, &["stopped after 0 events", "holds something else"]);
    redis_command(&server, &["REPLICAOF", "127.0.0.1", "1"]);
    expect(publish(&url, ""), 1, &["stopped after 0 events", "name the primary"]);
    redis_command(&server, &["REPLICAOF", "NO", "ONE"]);
    redis_command(&server, &["CONFIG", "SET", "requirepass", "geheim"]);
    expect(publish(&url, ""), 1, &["wants a password"]);
    expect(publish(&format!("redis://:geheim@{address}"), ""), 0, &["published 50000 events", "4 event streams"]);
}

#[test]
fn refused_rows_make_the_command_fail_after_the_rest() {
    let server = RedisServer::start(RedisOptions::default());
    let files = Files::new(&server).positions(&(rows(2) + "T1,2026-11-23T06:00:00Z,200,6.5,1,yes,1\n"));
    let command = format!("publish --redis {} --pipeline lagos --positions positions.csv", server.url());
    let (code, text) = run(files.folder.path(), &command);
    assert_eq!(code, Some(1), "{text}");
    for expected in ["published 2 events", "1 record is refused", "positions.csv, line 4: coordinates"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_geofence_that_is_refused_does_not_hold_up_the_others() {
    let server = RedisServer::start(RedisOptions::default());
    let files = Files::new(&server).geofences(GEOFENCES);
    let folder = files.folder.path();
    let twice = GEOFENCES
        .replace("since the first", "dated")
        .replace("\"radius_m\"", "\"valid_from\":1795132800000,\"radius_m\"");
    files.write("twice.geojson", twice);
    let geofences = |what: &str| run(folder, &format!("geofences {what} --redis {} --pipeline lagos", server.url()));
    let control = || stream(&server, "wt:lagos:control");

    let (code, text) = geofences("import geofences.geojson twice.geojson");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("3 geofences appended"), "{text}");
    assert!(text.contains("1 refused as duplicate_id:\n    feature 2:"), "{text}");
    assert_eq!(control().len(), 3);
    redis_command(&server, &["DEL", "wt:lagos:control"]);

    let now = jiff::Timestamp::now().as_millisecond();
    let (code, text) = geofences("import geofences.geojson --valid-from 2026-11-01T00:00:00Z");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 geofences appended, 5 vertices and 1 circle: wt:lagos:control"), "{text}");
    assert!(text.contains("no daemon of pipeline lagos has run yet"), "{text}");
    let (code, text) = geofences("delete dated --valid-from 1795132800000");
    assert_eq!(code, Some(0), "{text}");

    let edits: Vec<_> = control().into_iter().map(Result::unwrap).collect();
    let [Event::Geofence(dated), Event::Geofence(undated), Event::Geofence(deleted)] = &edits[..] else { panic!() };
    let date = |text: &str| Some(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    assert_eq!(dated.valid_from, date("2026-11-20T00:00:00Z"), "what a feature says itself stands");
    assert_eq!(undated.valid_from, date("2026-11-01T00:00:00Z"));
    assert_eq!((deleted.valid_from, deleted.definition.is_none()), (Some(1_795_132_800_000), true));
    for edit in &edits {
        assert!(edit.received_at() >= Some(now) && edit.received_at() < Some(now + 60_000), "it arrives now");
    }
}

#[test]
fn real_buses_are_published_whole() {
    let Some(data) = crate::support::data_dir() else { return };
    let server = RedisServer::start(RedisOptions::default());
    let mut files = Files::new(&server);
    files.options.geofences.push(data.join("geofences/city_austin_neighbourhoods.geojson.gz"));
    files.options.positions.push(data.join("positions/bus_austin_2016-11-24_27.csv.gz"));
    files.options.wanted.streams = Some(4);
    assert_eq!(files.publish().published, 70 + 115_088);
    let found = streams(&server, 4);
    let events: usize = found.iter().map(|events| without_clocks(events).len()).sum();
    assert_eq!(events, 70 + 115_088);
    check_undated(&found[4]);
    let (mut expected, _) = expected(&files.options, 4);
    for (found, expected) in found.iter().zip(expected.drain(..4)) {
        assert_eq!(without_clocks(found), expected);
    }
}

/// Geofences that do not say since when they hold arrive with the first position.
fn check_undated(control: &[Read]) {
    let first = "2016-11-24T06:00:01Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    for event in without_clocks(control) {
        assert_eq!(event.unwrap().received_at(), Some(first));
    }
}
