//! A pipeline whose log loses entries, and what was put into it.

use std::collections::{BTreeMap, BTreeSet};

use redis::Commands;
use redis::streams::StreamRangeReply;
use watchtower_core::events::stream_of;

use crate::support::daemon::{Pipeline, Setup, wait_until};
use crate::support::oracle::compare;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// The log's time at its beginning.
const T0: i64 = 1_795_413_600_000;
const STREAMS: u16 = 2;
/// The stream that entries are lost of.
pub(crate) const EVENTS: &str = "wt:lagos:events:0";

/// Milliseconds and number.
type Id = (u64, u64);

/// An entry that was added.
#[derive(Clone, Debug)]
struct Sent {
    key: String,
    id: Id,
    /// Of a position; none of other events.
    ts: Option<i64>,
    /// How many streams had been at the key before.
    generation: u32,
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The tables contain it.
    Read,
    /// It is in Redis.
    Left,
    Lost,
}

/// A pipeline on a Redis of its own, and all that was ever added to its streams.
pub(crate) struct Rig {
    url: String,
    /// Kept running; the one that counts is at `url`.
    pub(crate) redis: RedisServer,
    pub(crate) pipeline: Pipeline,
    /// Ids that come instead of the server's own, in streams that took the place of others.
    pub(crate) explicit: Option<u64>,
    now: i64,
    sent: Vec<Sent>,
    /// By key: how many streams there were before the present one, and before the one the cursor is of.
    generations: BTreeMap<String, (u32, u32)>,
    /// Positions whose loss was accepted.
    given_up: BTreeSet<i64>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let redis = RedisServer::start(RedisOptions::default());
        let url = redis.url();
        Self::on(redis, url, "")
    }

    /// As [`Self::new`]; the daemon finds Redis at `url`.
    pub(crate) fn on(redis: RedisServer, url: String, more: &str) -> Self {
        let pipeline = Pipeline::new(Setup {
            redis: url,
            postgres: PostgresServer::shared().database(),
            streams: STREAMS,
            workers: 2,
            clock: "log",
            more: more.to_owned(),
        });
        let mut rig = Self {
            url: redis.url(),
            redis,
            pipeline,
            explicit: None,
            now: T0,
            sent: Vec::new(),
            generations: BTreeMap::new(),
            given_up: BTreeSet::new(),
        };
        let fences = [("yard", 3.47), ("port", 3.49)].map(|(id, lon)| {
            let json = format!(
                r#"{{"type":"geofence","geofence_id":"{id}","valid_from":{T0},"received_at":{T0},"min_dwell_s":60,
                "geometry":{{"type":"Point","coordinates":[{lon},6.55]}},"radius_m":600}}"#,
            );
            ("wt:lagos:control".to_owned(), None, json)
        });
        rig.add(fences.to_vec());
        rig
    }

    fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url.as_str()).unwrap().get_connection().unwrap()
    }

    /// A command of which only the effect matters.
    pub(crate) fn redis(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let _: redis::Value = command.query(&mut self.connection()).unwrap();
    }

    fn add(&mut self, entries: Vec<(String, Option<i64>, String)>) {
        let mut connection = self.connection();
        for (key, ts, json) in entries {
            let generation = self.generations.get(&key).map_or(0, |(present, _)| *present);
            let id = match &mut self.explicit {
                Some(ms) if generation > 0 => {
                    *ms += 1;
                    format!("{ms}-0")
                }
                Some(_) | None => "*".to_owned(),
            };
            let id: Option<String> = connection.xadd(&key, id, &[("json", json)]).unwrap();
            self.sent.push(Sent { key, id: parse(&id.unwrap()), ts, generation });
        }
    }

    /// Adds positions of five vehicles that go to and fro between two geofences, then the time to all streams.
    pub(crate) fn send(&mut self, positions: usize) {
        let mut entries = Vec::new();
        for _ in 0..positions {
            self.now += 1_000;
            let (ts, step) = (self.now, (self.now - T0) / 1_000);
            let vehicle = format!("truck-{}", step % 5);
            let place = (step * 7) % 400;
            let lon = 3.46 + place.min(400 - place) as f64 * 2e-4;
            let key = format!("wt:lagos:events:{}", stream_of(&vehicle, STREAMS));
            let json = format!(
                r#"{{"type":"position","vehicle_id":"{vehicle}","ts":{ts},"lon":{lon:.6},"lat":6.55,"received_at":{ts}}}"#
            );
            entries.push((key, Some(ts), json));
        }
        let clock = format!(r#"{{"type":"clock","now":{0},"received_at":{0}}}"#, self.now);
        entries.extend(self.pipeline.keys().into_iter().map(|key| (key, None, clock.clone())));
        self.add(entries);
    }

    /// Deletes streams; what is added from now on is in others.
    pub(crate) fn replace(&mut self, keys: &[String]) {
        for key in keys {
            self.generations.entry(key.clone()).or_default().0 += 1;
        }
        match keys.len() == self.pipeline.keys().len() {
            true => self.redis(&["FLUSHALL"]),
            false => keys.iter().for_each(|key| self.redis(&["DEL", key])),
        }
    }

    /// Redis loses all it had in its memory.
    pub(crate) fn lose_redis(&mut self) {
        self.redis.kill();
        self.redis.restart();
        for key in self.pipeline.keys() {
            self.generations.entry(key).or_default().0 += 1;
        }
    }

    /// From now on another server is the one that counts.
    pub(crate) fn serve_from(&mut self, redis: &RedisServer) {
        self.url = redis.url();
    }

    /// The ids in a stream.
    pub(crate) fn present(&self, key: &str) -> BTreeSet<Id> {
        let reply: StreamRangeReply = self.connection().xrange_all(key).unwrap();
        reply.ids.iter().map(|entry| parse(&entry.id)).collect()
    }

    /// Whether another server has the same stream, and our group of it.
    pub(crate) fn is_same(&self, other: &RedisServer, key: &str) -> bool {
        let info = |url: &str| -> Vec<redis::Value> {
            let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
            let mut ask = |what: &str| redis::cmd("XINFO").arg(what).arg(key).query(&mut connection).unwrap();
            vec![ask("STREAM"), ask("GROUPS")]
        };
        info(&self.url) == info(&other.url())
    }

    /// Entries ever added to the stream.
    pub(crate) fn added(&self, key: &str) -> u64 {
        let info: Result<BTreeMap<String, redis::Value>, _> =
            redis::cmd("XINFO").arg("STREAM").arg(key).query(&mut self.connection());
        info.map_or(0, |info| redis::from_redis_value::<u64>(info["entries-added"].clone()).unwrap())
    }

    /// The last entry of a stream that the tables contain.
    pub(crate) fn cursor(&self, key: &str) -> Id {
        parse(&self.pipeline.sql(&format!("SELECT last_id FROM cursors WHERE stream = '{key}'")))
    }

    pub(crate) fn number(&self, sql: &str) -> u64 {
        self.pipeline.sql(sql).parse().unwrap()
    }

    /// What became of the entries so far.
    fn fates(&self) -> Vec<(&Sent, Fate)> {
        let keys = self.pipeline.keys();
        let known: BTreeMap<&String, _> = keys.iter().map(|key| (key, (self.present(key), self.cursor(key)))).collect();
        let fate = |sent: &Sent| {
            let (present, cursor) = &known[&sent.key];
            let (current, read) = self.generations.get(&sent.key).copied().unwrap_or_default();
            match sent.generation {
                generation if generation == read && sent.id <= *cursor => Fate::Read,
                generation if generation < read => Fate::Read, // or given up
                generation if generation == current && present.contains(&sent.id) => Fate::Left,
                _ => Fate::Lost,
            }
        };
        self.sent.iter().map(|sent| (sent, fate(sent))).collect()
    }

    /// The entries of a stream that the tables do not contain and Redis does not have, and that nobody gave up:
    /// of positions, their instants.
    pub(crate) fn lost(&self, key: &str) -> Vec<Option<i64>> {
        let fates = self.fates().into_iter();
        fates.filter(|(sent, fate)| sent.key == key && *fate == Fate::Lost).map(|(sent, _)| sent.ts).collect()
    }

    /// The loss is going to be accepted.
    pub(crate) fn accept(&mut self) {
        let lost: Vec<Option<i64>> = self.pipeline.keys().iter().flat_map(|key| self.lost(key)).collect();
        self.given_up.extend(lost.into_iter().flatten());
        for (present, read) in self.generations.values_mut() {
            *read = *present;
        }
    }

    /// Waits until the tables contain all that Redis has.
    pub(crate) fn wait(&self) {
        let added: u64 = self.pipeline.keys().iter().map(|key| self.added(key)).sum();
        let sql = "SELECT sum(c.entries - c.rebased), p.commit_seq - t.commit_seq FROM cursors c, pipeline p, \
                   table_progress t GROUP BY p.commit_seq, t.commit_seq";
        wait_until(&format!("{added} entries are in the tables"), || {
            self.pipeline.try_sql(sql).is_ok_and(|answer| answer == format!("{added}|0"))
        });
    }

    /// Every position up to the cursors is in the archive, and no other; the tables are what PostGIS computes
    /// from it.
    pub(crate) fn assert_tables_are_those_of_what_is_read(&self) {
        let read = self.fates().into_iter().filter(|(_, fate)| *fate == Fate::Read).filter_map(|(sent, _)| sent.ts);
        let wanted: BTreeSet<i64> = read.filter(|ts| !self.given_up.contains(ts)).collect();
        let found = self.pipeline.sql("SELECT DISTINCT (extract(epoch FROM ts) * 1000)::bigint FROM positions_log");
        let found: BTreeSet<i64> = found.lines().map(|ts| ts.parse().unwrap()).collect();
        let (missing, unexpected) = (wanted.difference(&found).count(), found.difference(&wanted).count());
        assert_eq!((missing, unexpected), (0, 0), "missing in the archive and unexpected there, of {}", wanted.len());
        compare(&self.pipeline.setup.postgres, "lagos").unwrap();
        self.pipeline.assert_commits_are_dense();
        let wrong = "SELECT count(*) FROM (SELECT entry < lag(entry) OVER (PARTITION BY vehicle_id ORDER BY ts, entry) \
                     AS wrong FROM (SELECT vehicle_id, ts, max(entry) AS entry FROM positions_log GROUP BY 1, 2) AS l) \
                     AS l WHERE wrong";
        assert_eq!(self.pipeline.sql(wrong), "0", "what came later has a greater number");
    }

    /// What `resume --accept-gap` prints.
    pub(crate) fn resume(&self) -> String {
        self.output("resume", &["--accept-gap"])
    }

    /// What `status` prints.
    pub(crate) fn status(&self) -> String {
        self.output("status", &[])
    }

    fn output(&self, command: &str, arguments: &[&str]) -> String {
        let output = self.pipeline.run(command, arguments);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned() + "\n"
    }
}

/// An id as Redis writes it.
pub(crate) fn text((ms, seq): Id) -> String {
    format!("{ms}-{seq}")
}

fn parse(id: &str) -> Id {
    let (ms, seq) = id.split_once('-').unwrap();
    (ms.parse().unwrap(), seq.parse().unwrap())
}
