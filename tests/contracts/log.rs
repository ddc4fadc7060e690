//! The contract of a log: Redis Streams and the file both pass it.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::Runtime;
use watchtower_core::EntryId;
use watchtower_core::events::{Event, Limits, json};
use watchtower_geopackage::GeoPackage;
use watchtower_log::append::{Batches, Format, Outlet, PipelineName, Place, Sender, Target, Wanted};
use watchtower_log::redis::{Reader, Server, stream_keys};
use watchtower_log::{ClockSource, file};

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
    /// All its entries: those of one stream in their order.
    fn entries(&self) -> Vec<Entry>;
}

struct Redis {
    server: RedisServer,
}

/// A runtime of several threads, as a daemon has.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

fn owned(fields: &[(&[u8], &[u8])]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|(name, value)| (text(name), text(value))).collect()
}

impl Log for Redis {
    fn new() -> Self {
        Self { server: RedisServer::start(RedisOptions::default()) }
    }

    fn target(&self) -> Target {
        Target::Redis { url: self.server.url().into(), pipeline: PipelineName::parse("lagos").unwrap() }
    }

    fn entries(&self) -> Vec<Entry> {
        let keys = stream_keys("lagos", STREAMS);
        let mut after = vec![EntryId::ZERO; keys.len()];
        let mut found = Vec::new();
        RUNTIME.block_on(async {
            let server = Server::open(&self.server.url().into(), None).unwrap();
            let mut reader = Reader::connect(&server).await.unwrap();
            loop {
                let reply = reader.read(&keys, &after, Duration::from_millis(50)).await.unwrap();
                if reply.is_empty() {
                    return;
                }
                let mut fields = Vec::new();
                let mut entries = reply.entries(&keys).unwrap();
                while let Some((stream, id)) = entries.next(&mut fields).unwrap() {
                    after[stream] = id;
                    found.push((stream, id, owned(&fields)));
                }
            }
        });
        found
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

    fn entries(&self) -> Vec<Entry> {
        let log = file::Reader::open(&self.file).unwrap();
        let (mut after, mut found) = (0, Vec::new());
        loop {
            let read = log.read(after, u64::MAX).unwrap();
            if read.is_empty() {
                return found;
            }
            after = read.last();
            let mut fields = Vec::new();
            let mut entries = read.iter();
            while let Some((stream, id)) = entries.next(&mut fields) {
                found.push((stream, id, owned(&fields)));
            }
        }
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

macro_rules! contract {
    ($backend:ident: $log:ty) => {
        mod $backend {
            contract!(@tests $log: entries_keep_their_order, events_share_entries, producers_follow_each_other,
                values_come_back);
        }
    };
    (@tests $log:ty: $($name:ident),*) => {
        $(#[test]
        fn $name() {
            super::$name::<$log>();
        })*
    };
}

contract!(redis: super::Redis);
contract!(one_file: super::File);
