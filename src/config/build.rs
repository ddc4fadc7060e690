//! The keys of the configuration: what each accepts, and its default.

use std::io::Read;
use std::path::Path;

use watchtower_core::events::{Limits, RuleText, default_max_retained_positions};
use watchtower_daemon::telemetry::{http, log};
use watchtower_daemon::{Embedded, Engine, Options, checkpoint};
use watchtower_gateway as gateway_room;
use watchtower_log::{ClockSource, redis};
use watchtower_model::{Millis, Outliers, Rules, Speed, ViewSet};
use watchtower_store::postgres;

use super::alert_rules::alert_rules;
use super::document::{Document, position};
use super::duration::{DAY_MS, HOUR_MS, SECOND_MS, format_ms};
use super::environment::Variables;
use super::error::{ConfigError, Place, Problem};
use super::gateway::gateway;
use super::key::Key;
use super::notify::notify;
use super::reader::Reader;
use super::{kinds, urls};

/// The largest file that is read: nobody writes one, and `/dev/zero` ends.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The longest time that anything is kept or waited for: ten years.
const MAX_KEPT_MS: Millis = 3650 * DAY_MS;

/// The longest entry that may be allowed; all of it is held in memory.
const MAX_ENTRY_BYTES: i64 = 64 << 20;

/// The most that may be on its way from Redis to PostgreSQL.
const MAX_IN_FLIGHT_BYTES: i64 = 64 << 30;

/// More positions of a vehicle than this are held in any case: tracks are given up by the chunk.
const MIN_RETAINED_POSITIONS: i64 = 16;

/// The fastest that anything can be said to move: below what a `Speed` can hold.
const MAX_SPEED_KMH: f64 = 4000.0;

/// The largest accuracy radius that can be asked for, metres: half around the earth.
const MAX_ACCURACY_M: f64 = 20_000_000.0;

/// The longest way that a rule compares with, metres.
const MAX_WAY_M: f64 = 1_000_000.0;

/// The greatest radius of a stop, metres.
const MAX_STOP_RADIUS_M: f64 = 5000.0;

const PIPELINE: Key = Key { section: "", name: "pipeline" };
const SCHEMA: Key = Key { section: "store", name: "schema" };

/// Whether a pipeline has to have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    Required,
    Optional,
}

/// Reads the file at `path`; variables of `env` override it ([`super::environment`] has those of this
/// process).
///
/// # Errors
/// If the file cannot be read; or with everything that is wrong with it and with the variables.
pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Options, ConfigError> {
    read(path, env, Naming::Required).map(|all| all.daemon)
}

/// The same for every room.
///
/// # Errors
/// As [`load`].
pub fn load_all(path: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Configuration, ConfigError> {
    read(path, env, Naming::Required)
}

/// [`load_all`] where everything is in one file.
///
/// # Errors
/// As [`load`].
pub fn load_all_embedded(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Configuration, ConfigError> {
    match path {
        Some(path) => read(path, env, Naming::Optional),
        None => parse_named("", "", env, Naming::Optional),
    }
}

/// What a file configures.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The daemon, and what other rooms share with it.
    pub daemon: Options,
    /// `[gateway]` and `[[source]]`.
    pub gateway: gateway_room::Options,
    /// `[notify]` and `[[channel]]`.
    pub notify: watchtower_notify::Options,
    /// `[[rule]]`: alert rules.
    pub alert_rules: Vec<RuleText>,
}

fn read(
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
    naming: Naming,
) -> Result<Configuration, ConfigError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let file = path.display().to_string();
    let invalid = |place, text| Err(ConfigError::Invalid(vec![Problem { place, text }]));
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return invalid(Place::File(file), format!("the file is larger than {MAX_FILE_BYTES} bytes"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse_named(&file, text, env, naming),
        Err(error) => {
            let (line, column) = position(&bytes, error.valid_up_to());
            let text = "expected UTF-8; save the file in that encoding".to_owned();
            invalid(Place::Line { file, line, column }, text)
        }
    }
}

/// The same where everything is in one file: there is no need for a configuration then, nor for a name in it.
///
/// # Errors
/// As [`load`].
pub fn load_embedded(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Options, ConfigError> {
    load_all_embedded(path, env).map(|all| all.daemon)
}

/// Reads the text of a file; `file` is what problems call it.
///
/// # Errors
/// With everything that is wrong with the text and with the variables.
pub fn parse(file: &str, text: &str, env: impl Iterator<Item = (String, String)>) -> Result<Options, ConfigError> {
    parse_all(file, text, env).map(|all| all.daemon)
}

/// The same for every room.
///
/// # Errors
/// As [`parse`].
pub fn parse_all(
    file: &str,
    text: &str,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Configuration, ConfigError> {
    parse_named(file, text, env, Naming::Required)
}

fn parse_named(
    file: &str,
    text: &str,
    env: impl Iterator<Item = (String, String)>,
    naming: Naming,
) -> Result<Configuration, ConfigError> {
    let mut reader = Reader::new(Document::parse(file, text), Variables::new(env));
    let daemon = options(&mut reader);
    let gateway = gateway(&mut reader);
    let notify = notify(&mut reader);
    let alert_rules = alert_rules(&mut reader, &daemon.limits, &notify);
    let options = Configuration { daemon, gateway, notify, alert_rules };
    if naming == Naming::Required {
        reader.require(PIPELINE, "the name of this pipeline: write pipeline = \"lagos\" at the top");
    }
    let problems = reader.finish();
    if problems.is_empty() { Ok(options) } else { Err(ConfigError::Invalid(problems)) }
}

/// What a pipeline of this name has if nothing but the name is set. The name is not checked.
pub fn default_for(pipeline: &str) -> Options {
    let mut reader = Reader::new(Document::parse("", ""), Variables::new(std::iter::empty()));
    let unnamed = options(&mut reader);
    let store = postgres::Options { schema: pipeline.to_owned(), ..unnamed.store };
    Options { pipeline: pipeline.to_owned(), store, ..unnamed }
}

fn options(reader: &mut Reader<'_>) -> Options {
    let pipeline = reader.read(PIPELINE, String::new(), kinds::name);
    let limits = limits(reader);
    let clock = clock(reader);
    Options {
        redis: redis_options(reader),
        clock: clock.unwrap_or_default(),
        embedded: embedded(reader, clock),
        store: store(reader, &pipeline),
        rules: Rules { retention_ms: limits.lateness_ms, horizon_ms: Some(limits.horizon_ms), ..rules(reader) },
        checkpoints: checkpoints(reader),
        engine: engine(reader),
        http: http(reader),
        log: log(reader),
        pipeline,
        limits,
    }
}

fn redis_options(reader: &mut Reader<'_>) -> redis::Options {
    let key = |name| Key { section: "redis", name };
    let default = redis::Options::default();
    redis::Options {
        url: reader.read(key("url"), default.url, urls::redis_url),
        streams: reader.read(key("streams"), default.streams, kinds::whole(1..=1024)),
        log_keep: reader.read(key("log_keep"), default.log_keep, kinds::span(0..=MAX_KEPT_MS)),
        ca_file: reader.read(key("ca_file"), default.ca_file, kinds::file),
        allow_eviction: reader.read(key("allow_eviction"), default.allow_eviction, kinds::boolean),
    }
}

fn checkpoints(reader: &mut Reader<'_>) -> checkpoint::Options {
    let key = |name| Key { section: "checkpoints", name };
    let default = checkpoint::Options::default();
    checkpoint::Options {
        folder: reader.read(key("folder"), default.folder, kinds::folder),
        every: reader.read(key("every"), default.every, kinds::span(100..=DAY_MS)),
    }
}

/// Where clock events come from, if that is set.
fn clock(reader: &mut Reader<'_>) -> Option<ClockSource> {
    let choices = [("wall", Some(ClockSource::Wall)), ("log", Some(ClockSource::Log))];
    reader.read(Key { section: "clock", name: "source" }, None, kinds::choice(&choices))
}

fn embedded(reader: &mut Reader<'_>, clock: Option<ClockSource>) -> Embedded {
    let key = |name| Key { section: "embedded", name };
    Embedded {
        streams: Some(reader.read(key("streams"), 0, kinds::whole(0..=1024))).filter(|streams| *streams > 0),
        log_keep: reader.read(key("log_keep"), None, kinds::all_or_span(0..=MAX_KEPT_MS)),
        clock,
    }
}

fn store(reader: &mut Reader<'_>, pipeline: &str) -> postgres::Options {
    let key = |name| Key { section: "store", name };
    let default = postgres::Options::default();
    let store = postgres::Options {
        url: reader.read(key("url"), default.url, urls::store_url),
        schema: reader.read(SCHEMA, pipeline.to_owned(), kinds::schema),
        migrate: reader.read(key("migrate"), default.migrate, kinds::boolean),
        archive: reader.read(key("archive"), default.archive, kinds::boolean),
        reader_role: reader.read(key("reader_role"), default.reader_role, kinds::role),
        state_every: reader.read(key("state_every"), default.state_every, kinds::span(100..=HOUR_MS)),
        rejected_keep: reader.read(key("rejected_keep"), default.rejected_keep, kinds::span(HOUR_MS..=MAX_KEPT_MS)),
        ca_file: reader.read(key("ca_file"), default.ca_file, kinds::file),
        allow_unsafe: reader.read(key("allow_unsafe"), default.allow_unsafe, kinds::boolean),
    };
    // Only if the schema is the pipeline's name: one that is set was checked.
    let is_fine = !kinds::is_reserved_schema(&store.schema);
    reader.demand(&[SCHEMA, PIPELINE], is_fine, || {
        format!(
            "pipeline {:?}: its tables would be in the schema of that name, which PostgreSQL keeps for itself or for \
             everyone; choose another name, or set `schema` in [store]",
            store.schema
        )
    });
    store
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let key = |name| Key { section: "limits", name };
    let default = Limits::default();
    let lateness_ms = default.lateness_ms.unwrap_or(6 * HOUR_MS);
    let lateness_ms = reader.read(key("lateness"), lateness_ms, kinds::duration(0..=MAX_KEPT_MS));
    let rule = |name| Key { section: "rules", name };
    let limits = Limits {
        wall_clock: default.wall_clock,
        refuse_zero: reader.read(rule("refuse_zero"), default.refuse_zero, kinds::boolean),
        isolated_after_ms: reader.read(
            rule("isolated_after"),
            default.isolated_after_ms,
            kinds::duration(0..=MAX_KEPT_MS),
        ),
        future_tolerance_ms: reader.read(
            key("future_tolerance"),
            default.future_tolerance_ms,
            kinds::duration(0..=DAY_MS),
        ),
        horizon_ms: reader.read(key("horizon"), default.horizon_ms, kinds::duration(0..=MAX_KEPT_MS)),
        lateness_ms: Some(lateness_ms),
        earliest: reader.read(key("earliest"), default.earliest, kinds::instant),
        latest: reader.read(key("latest"), default.latest, kinds::instant),
        max_entry_bytes: reader.read(key("max_entry"), default.max_entry_bytes, kinds::whole(1024..=MAX_ENTRY_BYTES)),
        max_attributes_bytes: reader.read(
            key("max_attributes"),
            default.max_attributes_bytes,
            kinds::whole(2..=MAX_ENTRY_BYTES),
        ),
        max_vehicles: reader.read(key("max_vehicles"), default.max_vehicles, kinds::whole(1..=u32::MAX.into())),
        max_retained_positions: reader.read(
            key("max_retained_positions"),
            default_max_retained_positions(lateness_ms),
            kinds::whole(MIN_RETAINED_POSITIONS..=u32::MAX.into()),
        ),
    };
    together(reader, &limits);
    limits
}

/// What must hold of several limits.
fn together(reader: &mut Reader<'_>, limits: &Limits) {
    let key = |name| Key { section: "limits", name };
    let lateness_ms = limits.lateness_ms.unwrap_or(0);
    reader.demand(&[key("lateness"), key("horizon")], lateness_ms <= limits.horizon_ms, || {
        format!(
            "lateness ({}) must be at most horizon ({}): what is older than the horizon is refused anyway",
            format_ms(lateness_ms),
            format_ms(limits.horizon_ms)
        )
    });
    reader.demand(&[key("latest"), key("earliest")], limits.earliest < limits.latest, || {
        "latest must be after earliest, or every event is refused".to_owned()
    });
    let attributes_fit = limits.max_attributes_bytes <= limits.max_entry_bytes;
    reader.demand(&[key("max_attributes"), key("max_entry")], attributes_fit, || {
        let (attributes, entry) = (limits.max_attributes_bytes, limits.max_entry_bytes);
        format!("max_attributes ({attributes}) must be at most max_entry ({entry}), which they are part of")
    });
}

fn rules(reader: &mut Reader<'_>) -> Rules {
    let key = |name| Key { section: "rules", name };
    let default = Rules::default();
    let kmh = |speed: Speed| speed.kmh().unwrap_or(0.0);
    let speed = || kinds::number(0.0..=MAX_SPEED_KMH);
    let (way, metres) = (|| kinds::number(0.0..=MAX_WAY_M), |millimetres: i64| millimetres as f64 / 1000.0);
    let millimetres = |metres: f64| (metres * 1000.0).round() as i64;
    let rules = Rules {
        views: reader.read(key("views"), default.views, kinds::choice(&ViewSet::NAMES)),
        offline_after_ms: reader.read(
            key("offline_after"),
            default.offline_after_ms,
            kinds::duration(SECOND_MS..=MAX_KEPT_MS),
        ),
        offline_count_ms: reader.read(
            key("offline_count"),
            default.offline_count_ms,
            kinds::duration(HOUR_MS..=MAX_KEPT_MS),
        ),
        max_accuracy_m: reader.read(key("max_accuracy_m"), default.max_accuracy_m, kinds::number(0.0..=MAX_ACCURACY_M)),
        outliers: reader.read(key("outliers"), default.outliers, kinds::choice(&Outliers::NAMES)),
        jump_mm: millimetres(reader.read(key("jump_m"), metres(default.jump_mm), way())),
        idle_speed: Speed::from_kmh(reader.read(key("idle_speed_kmh"), kmh(default.idle_speed), speed())),
        max_plausible: Speed::from_kmh(reader.read(key("max_plausible_kmh"), kmh(default.max_plausible), speed())),
        speed_hold_ms: reader.read(key("speed_hold"), default.speed_hold_ms, kinds::duration(0..=DAY_MS)),
        speed_span_ms: reader.read(key("speed_span"), default.speed_span_ms, kinds::duration(0..=HOUR_MS)),
        min_step_mm: millimetres(reader.read(key("min_step_m"), metres(default.min_step_mm), way())),
        tow_min_mm: millimetres(reader.read(key("tow_min_m"), metres(default.tow_min_mm), way())),
        stop_radius_m: reader.read(key("stop_radius_m"), default.stop_radius_m, kinds::number(1.0..=MAX_STOP_RADIUS_M)),
        stop_min_ms: reader.read(key("stop_min"), default.stop_min_ms, kinds::duration(0..=DAY_MS)),
        idle_min_ms: reader.read(key("idle_min"), default.idle_min_ms, kinds::duration(0..=DAY_MS)),
        overspeed_min_ms: reader.read(key("overspeed_min"), default.overspeed_min_ms, kinds::duration(0..=DAY_MS)),
        default_speed_limit: Speed::from_kmh(reader.read(
            key("speed_limit_kmh"),
            kmh(default.default_speed_limit),
            speed(),
        )),
        presence_limit_ms: reader.read(
            key("presence_limit"),
            default.presence_limit_ms,
            kinds::duration(HOUR_MS..=MAX_KEPT_MS),
        ),
        local_time: reader.read(key("time_zone"), default.local_time, kinds::time_zone),
        horizon_ms: default.horizon_ms,
        retention_ms: default.retention_ms,
    };
    let keys = [key("idle_speed_kmh"), key("max_plausible_kmh")];
    reader.demand(&keys, rules.idle_speed < rules.max_plausible, || {
        format!(
            "idle_speed_kmh ({}) must be below max_plausible_kmh ({}), or no vehicle ever moves",
            kmh(rules.idle_speed),
            kmh(rules.max_plausible)
        )
    });
    rules
}

fn engine(reader: &mut Reader<'_>) -> Engine {
    let key = |name| Key { section: "engine", name };
    let default = Engine::default();
    Engine {
        workers: reader.read(key("workers"), default.workers, kinds::whole(1..=256)),
        in_flight_bytes: reader.read(
            key("in_flight"),
            default.in_flight_bytes,
            kinds::whole(1 << 16..=MAX_IN_FLIGHT_BYTES),
        ),
    }
}

fn http(reader: &mut Reader<'_>) -> http::Options {
    let default = http::Options::default();
    http::Options { listen: reader.read(Key { section: "http", name: "listen" }, default.listen, kinds::address) }
}

fn log(reader: &mut Reader<'_>) -> log::Options {
    let key = |name| Key { section: "log", name };
    let default = log::Options::default();
    let formats = [("human", log::Format::Human), ("json", log::Format::Json)];
    log::Options {
        format: reader.read(key("format"), default.format, kinds::choice(&formats)),
        level: reader.read(key("level"), default.level, kinds::level),
    }
}
