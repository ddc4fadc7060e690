//! The effective configuration as TOML. Of a server it shows what the client library parsed, never the URL.

use std::fmt::{self, Write};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use watchtower_core::events::Limits;
use watchtower_daemon::telemetry::{http, log};
use watchtower_daemon::{Embedded, Engine, Options, checkpoint};
use watchtower_log::redis;
use watchtower_model::{Millis, Rules, Speed};
use watchtower_store::postgres;

use super::duration::format_ms;

/// All keys with their values from any source. For a URL, a comment names the server.
pub fn describe(options: &Options) -> String {
    let mut text = String::new();
    write(options, &mut text).expect("a string takes all that is written to it");
    text
}

fn write(options: &Options, f: &mut impl Write) -> fmt::Result {
    let Options { pipeline, redis, clock, embedded, store, limits, rules, checkpoints, engine, http, log } = options;
    writeln!(f, "pipeline = {}", text(pipeline))?;
    redis_section(redis, f)?;
    writeln!(f, "\n[clock]\nsource = {}", text(clock.word()))?;
    let Embedded { streams, log_keep, clock: _ } = embedded;
    let kept = log_keep.map_or_else(|| text("all"), span);
    writeln!(f, "\n[embedded]\nstreams = {}\nlog_keep = {kept}", streams.unwrap_or(0))?;
    store_section(store, f)?;
    limits_section(limits, f)?;
    rules_section(rules, f)?;
    let Limits { refuse_zero, isolated_after_ms, .. } = limits;
    writeln!(f, "refuse_zero = {refuse_zero}\nisolated_after = {}", duration(*isolated_after_ms))?;
    let checkpoint::Options { folder, every } = checkpoints;
    writeln!(f, "\n[checkpoints]\nfolder = {}\nevery = {}", file(Some(folder)), span(*every))?;
    let Engine { workers, in_flight_bytes } = engine;
    writeln!(f, "\n[engine]\nworkers = {workers}\nin_flight = {in_flight_bytes}")?;
    let http::Options { listen } = http;
    writeln!(f, "\n[http]\nlisten = {}", text(&listen.to_string()))?;
    let log::Options { format, level } = log;
    let format = match format {
        log::Format::Human => "human",
        log::Format::Json => "json",
    };
    writeln!(f, "\n[log]\nformat = {}\nlevel = {}", text(format), text(level))
}

fn redis_section(options: &redis::Options, f: &mut impl Write) -> fmt::Result {
    let redis::Options { url, streams, log_keep, ca_file, allow_eviction } = options;
    writeln!(f, "\n[redis]\n# url: {}\nstreams = {streams}", redis::address(url))?;
    writeln!(f, "log_keep = {}\nca_file = {}", span(*log_keep), file(ca_file.as_deref()))?;
    writeln!(f, "allow_eviction = {allow_eviction}")
}

fn store_section(options: &postgres::Options, f: &mut impl Write) -> fmt::Result {
    let postgres::Options {
        url,
        schema,
        migrate,
        archive,
        reader_role,
        state_every,
        rejected_keep,
        ca_file,
        allow_unsafe,
    } = options;
    writeln!(f, "\n[store]\n# url: {}\nschema = {}", postgres::address(url), text(schema))?;
    writeln!(f, "migrate = {migrate}\narchive = {archive}")?;
    writeln!(f, "reader_role = {}", text(reader_role.as_deref().unwrap_or("")))?;
    writeln!(f, "state_every = {}\nrejected_keep = {}", span(*state_every), span(*rejected_keep))?;
    writeln!(f, "ca_file = {}\nallow_unsafe = {allow_unsafe}", file(ca_file.as_deref()))
}

fn limits_section(limits: &Limits, f: &mut impl Write) -> fmt::Result {
    let Limits {
        earliest,
        latest,
        max_entry_bytes,
        max_attributes_bytes,
        future_tolerance_ms,
        horizon_ms,
        lateness_ms,
        wall_clock: _,        // said as [clock] source
        refuse_zero: _,       // said with the rules
        isolated_after_ms: _, // said with the rules
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

fn rules_section(rules: &Rules, f: &mut impl Write) -> fmt::Result {
    // `retention` follows from limits.horizon and limits.lateness.
    let Rules {
        views,
        offline_after_ms,
        offline_count_ms,
        max_accuracy_m,
        outliers,
        jump_mm,
        idle_speed,
        max_plausible,
        speed_hold_ms,
        speed_span_ms,
        min_step_mm,
        tow_min_mm,
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
    let metres = |millimetres: &i64| *millimetres as f64 / 1000.0;
    writeln!(f, "offline_after = {}\noffline_count = {}", duration(*offline_after_ms), duration(*offline_count_ms))?;
    writeln!(f, "max_accuracy_m = {max_accuracy_m}\noutliers = {}", text(outliers.name()))?;
    writeln!(f, "jump_m = {}", metres(jump_mm))?;
    writeln!(f, "idle_speed_kmh = {}\nmax_plausible_kmh = {}", kmh(idle_speed), kmh(max_plausible))?;
    writeln!(f, "speed_hold = {}\nspeed_span = {}", duration(*speed_hold_ms), duration(*speed_span_ms))?;
    writeln!(f, "min_step_m = {}\ntow_min_m = {}", metres(min_step_mm), metres(tow_min_mm))?;
    writeln!(f, "stop_radius_m = {stop_radius_m}\nstop_min = {}", duration(*stop_min_ms))?;
    writeln!(f, "idle_min = {}\noverspeed_min = {}", duration(*idle_min_ms), duration(*overspeed_min_ms))?;
    writeln!(f, "speed_limit_kmh = {}", kmh(default_speed_limit))?;
    writeln!(f, "presence_limit = {}\ntime_zone = {}", duration(*presence_limit_ms), text(local_time.name()))
}

fn text(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

fn file(path: Option<&Path>) -> toml::Value {
    text(&path.map_or_else(String::new, |path| path.display().to_string()))
}

fn duration(ms: Millis) -> toml::Value {
    text(&format_ms(ms))
}

fn span(duration: Duration) -> toml::Value {
    self::duration(duration.as_millis() as Millis)
}

fn instant(ms: Millis) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |instant| instant.to_string())
}
