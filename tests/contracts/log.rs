//! The contract of a log: Redis Streams and the file both pass it.

use std::sync::LazyLock;

use tokio::runtime::Runtime;
use watchtower_core::events::{Event, Limits, json};
use watchtower_core::{Cursor, EntryId, StreamPosition};
use watchtower_geopackage::GeoPackage;
use watchtower_log::append::{Batches, Format, Outlet, PipelineName, Place, Sender, Target, Wanted};
use watchtower_log::redis::{Options as StreamOptions, ProtocolError};
use watchtower_log::{ClockSource, Entries, Options, Step, Tail};

use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Event streams of a log under test; the control stream is the one behind them.
const STREAMS: u16 = 2;

/// An entry: the index of its stream, its id, its fields.
type Entry = (usize, EntryId, Vec<(String, String)>);

/// A log under test.
trait Log {
    /// A new one, empty.
    fn new() -> Self;
    /// Where producers append.
    fn target(&self) -> Target;
    /// Where a daemon opens it.
    fn options(&self) -> Options;

    /// As a daemon opens it.
    fn open(&self) -> watchtower_log::Log {
        RUNTIME.block_on(async { watchtower_log::Log::open(&self.options()).unwrap() })
    }

    /// All its entries: those of one stream in their order.
    fn entries(&self) -> Vec<Entry> {
        let log = self.open();
        let wanted: u64 = lags(&log, &[]).iter().sum();
        let mut tail = log.tail(vec![StreamPosition::default(); log.keys().len()], &beginning(&log));
        let mut found = Vec::new();
        while (found.len() as u64) < wanted {
            if let Step::Entries(entries) = next(&mut tail) {
                found.extend(owned(&entries, log.keys()));
            }
        }
        found
    }
}

struct Redis {
    server: RedisServer,
}

/// A runtime of several threads, as a daemon has.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

fn next(tail: &mut Tail) -> Step {
    RUNTIME.block_on(tail.next()).unwrap()
}

/// Number of entries behind these cursors, by stream.
fn lags(log: &watchtower_log::Log, cursors: &[Cursor]) -> Vec<u64> {
    RUNTIME.block_on(log.lag_meter().measure(cursors)).unwrap().into_iter().map(|lag| lag.entries).collect()
}

/// Cursors before the first entry.
fn beginning(log: &watchtower_log::Log) -> Vec<Cursor> {
    log.keys().iter().map(|key| Cursor::start(key, 0)).collect()
}

fn owned(entries: &Entries, keys: &[String]) -> Vec<Entry> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut found = Vec::new();
    let taken: Result<(), ProtocolError> = entries.each(keys, |stream, id, fields| {
        found.push((stream, id, fields.iter().map(|(name, value)| (text(name), text(value))).collect()));
        Ok(())
    });
    taken.unwrap();
    found
}

impl Log for Redis {
    fn new() -> Self {
        Self { server: RedisServer::start(RedisOptions::default()) }
    }

    fn target(&self) -> Target {
        Target::Redis { url: self.server.url().into(), pipeline: PipelineName::parse("lagos").unwrap() }
    }

    fn options(&self) -> Options {
        let redis = StreamOptions { url: self.server.url().into(), streams: STREAMS, ..StreamOptions::default() };
        Options::Redis { pipeline: "lagos".to_owned(), redis, clock: ClockSource::Wall }
    }
}

struct File {
    file: GeoPackage,
    _folder: tempfile::TempDir,
}

impl Log for File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { file: GeoPackage::at(folder.path().join("fleet.gpkg")), _folder: folder }
    }

    fn target(&self) -> Target {
        Target::Embedded(self.file.clone())
    }

    fn options(&self) -> Options {
        Options::File { file: self.file.clone(), streams: Some(STREAMS), keep: None, clock: Some(ClockSource::Wall) }
    }
}

fn wanted() -> Wanted {
    Wanted { streams: Some(STREAMS), clock: Some(ClockSource::Log) }
}

fn event(text: &str) -> Event<'static> {
    json::decode(text.as_bytes(), &Limits::default()).unwrap().into_owned()
}

fn clock(second: u32) -> Event<'static> {
    event(&format!(r#"{{"type":"clock","now":"2026-11-23T06:00:{second:02}Z"}}"#))
}

/// Appends events to streams, in one shape of entries; returns how many events count as published.
fn append(log: &impl Log, format: Format, most: u32, events: &[(Place, Event<'static>)]) -> u64 {
    let target = log.target();
    let (outlet, layout) = Outlet::open(&target, wanted()).unwrap();
    let mut batches = Batches::new(target.keys(layout.streams), format, most);
    let mut chunk = outlet.empty_chunk();
    let sender = Sender::start(outlet);
    for (place, event) in events {
        batches.push(*place, event, true, &mut chunk);
        if chunk.is_full() {
            assert!(sender.send(chunk.take()));
        }
    }
    batches.places().for_each(|place| batches.flush(place, &mut chunk));
    assert!(chunk.is_empty() || sender.send(chunk.take()));
    sender.finish().unwrap().events
}

/// The values of the fields, stream by stream.
fn by_stream(entries: &[Entry]) -> Vec<Vec<String>> {
    let mut streams = vec![Vec::new(); usize::from(STREAMS) + 1];
    for (stream, _, fields) in entries {
        streams[*stream]
            .push(fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "));
    }
    streams
}

/// The entries of one stream are read in the order in which they were appended, and their ids rise.
fn entries_keep_their_order<L: Log>() {
    let log = L::new();
    let places = [Place::Positions(0), Place::Control, Place::Positions(1), Place::Control, Place::Positions(0)];
    let events: Vec<_> = (0..).zip(places).map(|(second, place)| (place, clock(second))).collect();
    assert_eq!(append(&log, Format::Plain, 1, &events), 5);
    let entries = log.entries();
    let text = |second: u32| format!("type=clock now=2026-11-23T06:00:{second:02}Z");
    assert_eq!(by_stream(&entries), [vec![text(0), text(4)], vec![text(2)], vec![text(1), text(3)]]);
    for stream in 0..=usize::from(STREAMS) {
        let ids: Vec<EntryId> = entries.iter().filter(|entry| entry.0 == stream).map(|entry| entry.1).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
}

/// Several events share an entry, up to the number that was asked for, and none is lost.
fn events_share_entries<L: Log>() {
    let log = L::new();
    let events: Vec<_> = (0..10).map(|second| (Place::Control, clock(second))).collect();
    assert_eq!(append(&log, Format::Json, 4, &events), 10);
    let sizes: Vec<usize> = log.entries().iter().map(|(_, _, fields)| fields[0].1.matches("clock").count()).collect();
    assert_eq!(sizes, [4, 4, 2]);
}

/// What two producers append, one after the other, is all there, in that order.
fn producers_follow_each_other<L: Log>() {
    let log = L::new();
    for second in 0..3 {
        append(&log, Format::Plain, 1, &[(Place::Control, clock(second))]);
    }
    assert_eq!(by_stream(&log.entries())[usize::from(STREAMS)].len(), 3);
}

/// Bytes of any kind and large values come back as they were.
fn values_come_back<L: Log>() {
    let log = L::new();
    let (outlet, _) = Outlet::open(&log.target(), wanted()).unwrap();
    let mut chunk = outlet.empty_chunk();
    let large = "x".repeat(300_000);
    let key = log.target().keys(STREAMS)[0].clone();
    chunk.push((0, &key), &[(b"a", b""), (b"b", b"line\r\n\x00 \"quoted\""), (b"c", large.as_bytes())], 1);
    let sender = Sender::start(outlet);
    assert!(sender.send(chunk.take()));
    assert_eq!(sender.finish().unwrap().entries, 1);
    let fields = &log.entries()[0].2;
    assert_eq!(fields[0], ("a".to_owned(), String::new()));
    assert_eq!(fields[1].1, "line\r\n\0 \"quoted\"");
    assert_eq!(fields[2].1.len(), large.len());
}

/// A tail returns what the tables contain, then that it has, then what was appended later, each entry once.
fn a_tail_catches_up_and_follows<L: Log>() {
    let log = L::new();
    let append_one = |second| append(&log, Format::Plain, 1, &[(Place::Control, clock(second))]);
    append_one(0);
    append_one(1);
    let ids: Vec<EntryId> = log.entries().iter().map(|entry| entry.1).collect();
    let opened = log.open();
    let mut stored = beginning(&opened);
    stored[usize::from(STREAMS)].position = StreamPosition::default().after(ids[0]).after(ids[1]);
    let mut known = vec![StreamPosition::default(); stored.len()];
    known[usize::from(STREAMS)] = StreamPosition::default().after(ids[0]);

    let mut tail = opened.tail(known, &stored);
    assert_eq!(tail.behind(), 1);
    let Step::Entries(entries) = next(&mut tail) else { panic!("the second entry is in the tables only") };
    assert_eq!(owned(&entries, opened.keys()).iter().map(|entry| entry.1).collect::<Vec<_>>(), ids[1..]);
    assert!(matches!(next(&mut tail), Step::CaughtUp));
    assert!(matches!(next(&mut tail), Step::Following));
    append_one(2);
    let Step::Entries(entries) = next(&mut tail) else { panic!("the third entry follows") };
    assert_eq!(owned(&entries, opened.keys()).len(), 1);
    assert_eq!((tail.behind(), lags(&opened, &stored)), (0, vec![0, 0, 1]));
}

/// A tail does not continue from tables that contain more than the log holds.
fn a_log_that_lacks_entries_is_refused<L: Log>() {
    let log = L::new();
    append(&log, Format::Plain, 1, &[(Place::Control, clock(0))]);
    let id = log.entries()[0].1;
    let opened = log.open();
    let mut stored = beginning(&opened);
    let later = EntryId { ms: id.ms + 1, seq: 0 };
    stored[usize::from(STREAMS)].position = StreamPosition::default().after(id).after(later);
    let mut tail = opened.tail(vec![StreamPosition::default(); stored.len()], &stored);
    assert!(matches!(next(&mut tail), Step::Entries(_)));
    let refused = RUNTIME.block_on(tail.next()).unwrap_err();
    assert!(!refused.is_transient(), "{refused}");
}

/// A tick is a clock event in each stream.
fn a_tick_is_an_entry_in_each_stream<L: Log>() {
    let log = L::new();
    let mut ticker = log.open().into_ticker();
    RUNTIME.block_on(ticker.tick()).unwrap();
    let entries = log.entries();
    let streams: Vec<usize> = entries.iter().map(|entry| entry.0).collect();
    assert_eq!(streams.len(), usize::from(STREAMS) + 1);
    assert!((0..=usize::from(STREAMS)).all(|stream| streams.contains(&stream)), "{streams:?}");
    assert!(entries.iter().all(|(_, _, fields)| fields[0] == ("type".to_owned(), "clock".to_owned())));
}

contract! {
    redis: Redis, one_file: File;
    entries_keep_their_order,
    events_share_entries,
    producers_follow_each_other,
    values_come_back,
    a_tail_catches_up_and_follows,
    a_log_that_lacks_entries_is_refused,
    a_tick_is_an_entry_in_each_stream,
}
