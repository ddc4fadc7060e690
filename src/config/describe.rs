//! The configuration as it is in force, as TOML, without passwords.

use std::fmt::{self, Display};
use std::path::Path;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use watchtower_dataflows::model::{Millis, Rules, Speed};

use super::{Checkpoints, Clock, Config, Embedded, Engine, Http, Log, LogFormat, Redis, Store, redacted};
use crate::duration::format_ms;
use crate::events::Limits;

impl Config {
    /// Every key with its value, from wherever it came, as a file that has the same effect: only the
    /// passwords in it are `***`.
    pub fn describe(&self) -> String {
        self.to_string()
    }
}

impl Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pipeline, redis, clock, embedded, store, limits, rules, checkpoints, engine, http, log } = self;
        writeln!(f, "pipeline = {}", text(pipeline))?;
        redis.section(f)?;
        writeln!(f, "\n[clock]\nsource = {}", text(clock.word()))?;
        let Embedded { streams, log_keep_ms, clock: _ } = embedded;
        let kept = log_keep_ms.map_or_else(|| text("all"), duration);
        writeln!(f, "\n[embedded]\nstreams = {}\nlog_keep = {kept}", streams.unwrap_or(0))?;
        store.section(f)?;
        limits_section(limits, f)?;
        rules_section(rules, f)?;
        let Checkpoints { folder, every_ms } = checkpoints;
        writeln!(f, "\n[checkpoints]\nfolder = {}\nevery = {}", file(Some(folder)), duration(*every_ms))?;
        let Engine { workers, in_flight_bytes } = engine;
        writeln!(f, "\n[engine]\nworkers = {workers}\nin_flight = {in_flight_bytes}")?;
        let Http { listen } = http;
        writeln!(f, "\n[http]\nlisten = {}", text(&listen.to_string()))?;
        let Log { format, level } = log;
        writeln!(f, "\n[log]\nformat = {}\nlevel = {}", text(format.word()), text(level))
    }
}

impl Redis {
    fn section(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, streams, log_keep_ms, ca_file, allow_eviction } = self;
        writeln!(f, "\n[redis]\nurl = {}\nstreams = {streams}", secret(url))?;
        writeln!(f, "log_keep = {}\nca_file = {}", duration(*log_keep_ms), file(ca_file.as_deref()))?;
        writeln!(f, "allow_eviction = {allow_eviction}")
    }
}

impl Store {
    fn section(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            schema,
            migrate,
            archive,
            reader_role,
            state_every_ms,
            rejected_keep_ms,
            ca_file,
            allow_unsafe,
        } = self;
        writeln!(f, "\n[store]\nurl = {}\nschema = {}", secret(url), text(schema))?;
        writeln!(f, "migrate = {migrate}\narchive = {archive}")?;
        writeln!(f, "reader_role = {}", text(reader_role.as_deref().unwrap_or("")))?;
        writeln!(f, "state_every = {}", duration(*state_every_ms))?;
        writeln!(f, "rejected_keep = {}", duration(*rejected_keep_ms))?;
        writeln!(f, "ca_file = {}\nallow_unsafe = {allow_unsafe}", file(ca_file.as_deref()))
    }
}

fn limits_section(limits: &Limits, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Limits {
        earliest,
        latest,
        max_entry_bytes,
        max_attributes_bytes,
        future_tolerance_ms,
        horizon_ms,
        lateness_ms,
        max_vehicles,
        max_retained_positions,
    } = limits;
    writeln!(f, "\n[limits]\nfuture_tolerance = {}", duration(*future_tolerance_ms))?;
    writeln!(f, "horizon = {}", duration(*horizon_ms))?;
    match lateness_ms {
        Some(lateness_ms) => writeln!(f, "lateness = {}", duration(*lateness_ms))?,
        None => writeln!(f, "# nothing is ever late")?,
    }
    writeln!(f, "earliest = {}\nlatest = {}", instant(*earliest), instant(*latest))?;
    writeln!(f, "max_entry = {max_entry_bytes}\nmax_attributes = {max_attributes_bytes}")?;
    writeln!(f, "max_vehicles = {max_vehicles}\nmax_retained_positions = {max_retained_positions}")
}

fn rules_section(rules: &Rules, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // What is remembered is limits.horizon and limits.lateness.
    let Rules {
        views,
        offline_after_ms,
        idle_speed,
        max_plausible,
        stop_radius_m,
        stop_min_ms,
        idle_min_ms,
        overspeed_min_ms,
        default_speed_limit,
        presence_limit_ms,
        local_time,
        horizon_ms: _,
        retention_ms: _,
    } = rules;
    let kmh = |speed: &Speed| speed.kmh().unwrap_or(0.0);
    writeln!(f, "\n[rules]\nviews = {}", text(views.name()))?;
    writeln!(f, "offline_after = {}", duration(*offline_after_ms))?;
    writeln!(f, "idle_speed_kmh = {}\nmax_plausible_kmh = {}", kmh(idle_speed), kmh(max_plausible))?;
    writeln!(f, "stop_radius_m = {stop_radius_m}\nstop_min = {}", duration(*stop_min_ms))?;
    writeln!(f, "idle_min = {}\noverspeed_min = {}", duration(*idle_min_ms), duration(*overspeed_min_ms))?;
    writeln!(f, "speed_limit_kmh = {}", kmh(default_speed_limit))?;
    writeln!(f, "presence_limit = {}\ntime_zone = {}", duration(*presence_limit_ms), text(local_time.name()))
}

impl Clock {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Log => "log",
        }
    }
}

impl LogFormat {
    fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

fn text(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

fn secret(url: &SecretString) -> toml::Value {
    text(&redacted(url.expose_secret()))
}

fn file(path: Option<&Path>) -> toml::Value {
    text(&path.map_or_else(String::new, |path| path.display().to_string()))
}

fn duration(ms: Millis) -> toml::Value {
    text(&format_ms(ms))
}

fn instant(ms: Millis) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |instant| instant.to_string())
}
