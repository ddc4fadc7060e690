//! Configurations: the example works, wrong files are explained, and no password is ever printed.
//!
//! `tests/configurations/*.toml` are wrong files; beside each is what is printed of it. Lines of a file that
//! start with `#! ` are variables of the environment. `WATCHTOWER_BLESS=1` writes what was found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use secrecy::ExposeSecret;
use watchtower::config::{self, ConfigError, EXAMPLE};
use watchtower_daemon::Options;

/// Fewer wrong files than this are too few to be all of them.
const MIN_WRONG_FILES: usize = 25;

/// The variables that a file of the tests is loaded with.
fn variables(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("#! ")?.split_once('=')).collect();
    lines.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>().into_iter()
}

fn none() -> impl Iterator<Item = (String, String)> {
    std::iter::empty()
}

fn set(name: &str, value: &str) -> impl Iterator<Item = (String, String)> {
    std::iter::once((name.to_owned(), value.to_owned()))
}

/// The variables that scripts export and tests read, which a daemon that a test starts inherits.
fn variables_of_the_tests() -> BTreeSet<String> {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    ["scripts", "tests", "crates/testing", "benches/src"]
        .iter()
        .for_each(|folder| files(&root.join(folder), &mut found));
    let mut names = BTreeSet::new();
    for file in found {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let is_script = file.starts_with(root.join("scripts"));
        for (at, _) in text.match_indices("WATCHTOWER_") {
            let is_read = is_script || text[..at].ends_with("env::var(\"") || text[..at].ends_with("env::var_os(\"");
            let end = text[at..].find(|c: char| !c.is_ascii_uppercase() && c != '_').map_or(text.len(), |end| at + end);
            if is_read {
                names.insert(text[at..end].to_owned());
            }
        }
    }
    names
}

#[test]
fn a_daemon_of_a_test_is_not_disturbed_by_what_the_test_was_started_with() {
    let names = variables_of_the_tests();
    for known in ["WATCHTOWER_CASES", "WATCHTOWER_DATA", "WATCHTOWER_SOAK", "WATCHTOWER_TEST_TIMINGS"] {
        assert!(names.contains(known), "{known} is missing in {names:?}");
    }
    let environment = names.iter().map(|name| (name.clone(), "1".to_owned()));
    config::parse("watchtower.toml", EXAMPLE, environment).unwrap_or_else(|error| panic!("{error}"));
}

/// An error as `main` prints it.
fn printed(error: ConfigError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configurations")
}

#[test]
fn wrong_files_are_explained() {
    let mut paths: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    assert!(paths.len() >= MIN_WRONG_FILES);
    for path in paths {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let error = config::load(&path, variables(&text)).expect_err(&path.display().to_string());
        let found = printed(error).replace(&format!("{}/", folder().display()), "") + "\n";
        assert!(!found.contains("secret"), "{}: {found}", path.display());
        let expected = path.with_extension("txt");
        if std::env::var_os("WATCHTOWER_BLESS").is_some() {
            std::fs::write(&expected, &found).unwrap();
            continue;
        }
        assert_eq!(std::fs::read_to_string(&expected).unwrap_or_default(), found, "{}", path.display());
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = printed(config::load(Path::new("/nowhere/wt.toml"), none()).unwrap_err());
    assert_eq!(error, "cannot read the configuration /nowhere/wt.toml: No such file or directory (os error 2)");
}

#[test]
fn a_file_without_end_is_refused() {
    let error = printed(config::load(Path::new("/dev/zero"), none()).unwrap_err());
    assert_eq!(error, "/dev/zero: the file is larger than 1048576 bytes");
}

/// Everything of a configuration, secrets too.
fn whole(options: &Options) -> (String, String, String) {
    let Options { redis, store, .. } = options;
    (config::describe(options), redis.url.expose_secret().to_owned(), store.url.expose_secret().to_owned())
}

#[test]
fn the_example_is_the_default() {
    let example = config::parse("example.toml", EXAMPLE, none()).unwrap();
    assert_eq!(whole(&example), whole(&config::default_for("lagos")));
    assert_eq!(example.rules.retention_ms, example.limits.lateness_ms);
    assert_eq!(example.limits, watchtower_core::events::Limits::default());
}

#[test]
fn the_example_explains_every_key() {
    let keys = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with('[') || line.contains(" = ") && !line.starts_with('#'));
        lines.map(|line| line.split(" = ").next().unwrap().to_owned()).filter(|key| key != "url").collect()
    };
    let gateway = config::describe_gateway(&Default::default());
    let notify = config::describe_notify(&Default::default());
    assert_eq!(keys(EXAMPLE), keys(&(config::describe(&config::default_for("lagos")) + &gateway + &notify)));
    let mut explained = false;
    for line in EXAMPLE.lines() {
        match line.chars().next() {
            Some('#') => explained = true,
            Some(_) => assert!(explained || line.starts_with("latest"), "{line} is not explained"),
            None => explained = false,
        }
    }
}

#[test]
fn a_name_is_enough() {
    let options = config::parse("f", "pipeline = \"lagos\"", none()).unwrap();
    assert_eq!(whole(&options), whole(&config::default_for("lagos")));
    let options = config::parse("f", "", set("WATCHTOWER_PIPELINE", "lagos")).unwrap();
    assert_eq!(whole(&options), whole(&config::default_for("lagos")));
}

/// A file in which nothing is as it is by default.
const OTHERWISE: &str = r#"pipeline = "accra"

[redis]
url = "rediss://fleet:***@cache:6380/2"
streams = 16
log_keep = "2h"
ca_file = "/etc/wt/redis.pem"
allow_eviction = true

[clock]
source = "log"

[embedded]
streams = 4
log_keep = "30d"

[store]
url = "host=db user=wt password=*** sslmode=verify-full"
schema = "fleet"
migrate = false
archive = false
reader_role = ""
state_every = "250ms"
rejected_keep = "90d"
ca_file = 'pg "quoted".pem'
allow_unsafe = true

[limits]
future_tolerance = "1m30s"
horizon = "2d"
lateness = "1d12h"
earliest = 2000-01-01T00:00:00Z
latest = 2040-01-01T00:00:00.5Z
max_entry = 1048576
max_attributes = 1024
max_vehicles = 500
max_retained_positions = 1000

[rules]
views = "membership"
offline_after = "10m"
offline_count = "3d"
max_accuracy_m = 250
outliers = "use"
jump_m = 150
idle_speed_kmh = 3.5
max_plausible_kmh = 180
speed_hold = "1m30s"
speed_span = "20s"
min_step_m = 30
tow_min_m = 400
stop_radius_m = 80.5
stop_min = "3m"
idle_min = "15m"
overspeed_min = "10s"
speed_limit_kmh = 90
presence_limit = "12h"
time_zone = "Africa/Lagos"
refuse_zero = false
isolated_after = "10d"

[checkpoints]
folder = "/var/lib/wt"
every = "30s"

[engine]
workers = 8
in_flight = 1048576

[http]
listen = "[::]:80"

[log]
format = "json"
level = "warn,watchtower_store=debug"
"#;

/// [`OTHERWISE`] as it is described: no URL, the server that its client parsed instead.
fn described() -> String {
    let line = |line: &str| match line.split_once(" = ") {
        Some(("url", url)) if url.contains("rediss") => "# url: cache:6380/2".to_owned(),
        Some(("url", _)) => "# url: db:5432/wt as wt".to_owned(),
        Some(_) | None => line.to_owned(),
    };
    OTHERWISE.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn what_is_described_is_what_was_set() {
    let options = config::parse("f", OTHERWISE, none()).unwrap();
    assert_eq!(config::describe(&options), described());
}

#[test]
fn every_key_can_be_set_by_the_environment() {
    let (mut section, mut variables) = (String::new(), Vec::new());
    for line in OTHERWISE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}_", name.trim_end_matches(']').to_uppercase());
        } else if let Some((key, value)) = line.split_once(" = ") {
            let value = match value.parse::<toml::Value>().unwrap() {
                toml::Value::String(text) => text,
                other => other.to_string(),
            };
            variables.push((format!("WATCHTOWER_{section}{}", key.to_uppercase()), value));
        }
    }
    let options = config::parse("f", EXAMPLE, variables.into_iter()).unwrap();
    assert_eq!(config::describe(&options), described());
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "pipeline = \"lagos\"\n[redis]\nurl = \"redis://:one@a\"\n";
    let options = config::parse("f", text, set("WATCHTOWER_REDIS_URL", " redis://:two@b \n")).unwrap();
    assert_eq!(options.redis.url.expose_secret(), "redis://:two@b");
    let options = config::parse("f", text, set("WATCHTOWER_STORE_READER_ROLE", "")).unwrap();
    assert_eq!(options.store.reader_role, None);
}

#[test]
fn variables_of_others_are_none_of_ours() {
    for (name, value) in [
        ("PATH", "/bin"),
        ("WATCHTOWER_CASES", "5"),
        ("WATCHTOWER_SERVICE_PORT", "9464"),
        ("WATCHTOWER_PORT_9464_TCP_ADDR", "10.0.0.1"),
    ] {
        config::parse("f", EXAMPLE, set(name, value)).expect(name);
    }
}

#[test]
fn urls_of_all_kinds_are_accepted() {
    for url in [
        "redis://cache",
        "redis://:p%40ss@cache:6379",
        "rediss://user:p@ss@cache:6379/15?protocol=resp3",
        "redis://[::1]:6379",
    ] {
        let options = config::parse("f", EXAMPLE, set("WATCHTOWER_REDIS_URL", url)).unwrap();
        assert_eq!(options.redis.url.expose_secret(), url);
    }
    for url in [
        "postgres://u:p%2Fw@a:5432,[::1]:5433/db?sslmode=verify-full&target_session_attrs=read-write",
        "postgresql:///db?host=/var/run/postgresql&user=u",
        "postgres://u@%2Fvar%2Frun%2Fpostgresql/db",
        "host=/var/run/postgresql dbname=db sslmode=disable",
        r"host=db password = 'it\'s a secret' sslmode='verify-full'",
    ] {
        let options = config::parse("f", EXAMPLE, set("WATCHTOWER_STORE_URL", url)).unwrap();
        assert_eq!(options.store.url.expose_secret(), url);
    }
}

/// Places where a password is written, well or badly. `{}` is the password. (Of a URL that is nothing but
/// a password, or has it as a host, no program can tell.)
const URLS: [&str; 21] = [
    "redis://:{}@cache:6379/0",
    "redis://user:{}@cache",
    "rediss://user:{}@cache:6379/x",
    "redis://cache:{}",
    "redis://user:{}",
    "redis:/user:{}@cache",
    "http://user:{}@cache",
    "user:{}@cache:6379",
    "postgres://user:{}@db/lagos",
    "postgres://user:{}@db:5432,db2:x/lagos?sslmode=verify-ca",
    "postgres://user@db/lagos?password={}",
    "postgres://user@db/lagos?password={}&sslmode=none",
    "postgres://user@db/lagos?passwort={}",
    "postgres://db/lagos?user=u&{}",
    "postgres://user:{}",
    "postgres://user:{}@",
    "host=db user=u password={} dbname=lagos",
    "host=db user=u password='{}' dbname=lagos",
    "host=db user=u password='{} dbname=lagos",
    "host=db passwort={}",
    "postgres:user:{}@db",
];

/// Files that name a URL, well or badly. `{}` is the URL.
const FILES: [&str; 14] = [
    "[redis]\nurl = '{}'\n",
    "[store]\nurl = '{}'\n",
    "[store]\nurl = \"{}\"\n",
    "[store]\nurl = {}\n",
    "[store]\nurl = '{}\n",
    "[store]\nurl: '{}'\n",
    "[store]\n{}\n",
    "[store]\nurl = '{}' x\nurl = '{}'\n",
    "[store]\n'{}' = 1\n",
    "[store]\nuri = '{}'\n",
    "[store]\nurl = ['{}']\n",
    "['{}']\nurl = 1\n",
    "[http]\nlisten = '{}'\n[store]\nstate_every = '{}'\n",
    "[redis]\nurl = '''\n{}''' = '{}'\n",
];

/// Everything that is printed when `text` is loaded with `url` in a variable.
fn everything_printed(text: &str, url: &str) -> String {
    let mut out = String::new();
    let variables = ["WATCHTOWER_REDIS_URL", "WATCHTOWER_STORE_URL", "WATCHTOWER_STORE_SCHEMA", "WATCHTOWER_CLOK"];
    for name in variables {
        for file in ["pipeline = 'lagos'", text] {
            match config::parse("f", file, set(name, url)) {
                Ok(options) => out += &format!("{options:?}\n{}\n", config::describe(&options)),
                Err(error) => {
                    out += &format!("{error:?}\n");
                    out += &printed(error);
                }
            }
        }
    }
    out
}

#[test]
fn a_password_alone_is_not_shown() {
    for name in ["WATCHTOWER_REDIS_URL", "WATCHTOWER_STORE_URL"] {
        let error = printed(config::parse("f", EXAMPLE, set(name, "hunter2")).unwrap_err());
        assert!(!error.contains("hunter2"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    // A password does not begin with a digit or an @ here, or all of it may read as a port or host.
    fn no_password_is_ever_printed(password in "[!-/:-?A-~][ -~]{6,20}[!-~]", encoded in any::<bool>()) {
        let written = if encoded {
            password.bytes().map(|byte| format!("%{byte:02X}")).collect()
        } else {
            password.clone()
        };
        for url in URLS {
            let url = url.replace("{}", &written);
            for file in FILES {
                let out = everything_printed(&file.replace("{}", &url), &url);
                let leaks = out.contains(&password) || out.contains(&written) || out.contains(&format!("{password:?}"));
                prop_assert!(!leaks, "{url}\n{file}\n{out}");
            }
        }
    }
}
