//! Crash points: a test kills the process there, as a power failure would, or freezes it, as a hanging machine would.
//!
//! `WATCHTOWER_CRASH_AT=before-commit:2` kills the process the second time it reaches the point of that name;
//! `WATCHTOWER_FREEZE_AT` stops it there until it gets SIGCONT. With both unset, a point costs one read of an empty
//! option.

use std::collections::HashMap;
use std::io::Write;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// Variable with the name of a crash point and the number of the hit at which the process is killed.
pub const VARIABLE: &str = "WATCHTOWER_CRASH_AT";
/// The same for a point at which the process freezes.
pub const FREEZE_VARIABLE: &str = "WATCHTOWER_FREEZE_AT";

/// All points of the daemon, in the order in which an event passes them.
pub const POINTS: [&str; 14] = [
    "after-claim",
    "after-read",
    "in-operator",
    "before-begin",
    "after-compare-and-set",
    "mid-upserts",
    "before-commit",
    "commit-sent",
    "after-commit",
    "mid-checkpoint",
    "before-rename",
    "after-rename",
    "before-move-groups",
    "before-trim",
];

/// The points of the gateway: between the acknowledgement of the log and the mark that the data of a source is done.
pub const GATEWAY_POINTS: [&str; 2] = ["before-cursor", "before-broker-ack"];

/// The points of the notifier, in the order in which a delivery passes them.
pub const NOTIFY_POINTS: [&str; 4] = ["notify-claimed", "notify-sent", "notify-before-mark", "notify-marked"];

fn is_point(name: &str) -> bool {
    POINTS.contains(&name) || GATEWAY_POINTS.contains(&name) || NOTIFY_POINTS.contains(&name)
}

#[derive(Debug)]
struct Wanted {
    name: String,
    hit: u32,
    /// Signal that the process sends to itself.
    signal: &'static str,
}

impl Wanted {
    fn read(variable: &str, signal: &'static str) -> Option<Self> {
        let value = std::env::var(variable).ok()?;
        let (name, hit) = value.split_once(':').unwrap_or((&value, "1"));
        assert!(is_point(name), "{variable}: {name} is none of {POINTS:?}, {GATEWAY_POINTS:?} and {NOTIFY_POINTS:?}");
        Some(Self { name: name.to_owned(), hit: hit.parse().expect("the number of the hit"), signal })
    }
}

fn wanted() -> Option<&'static Wanted> {
    static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
    WANTED.get_or_init(|| Wanted::read(VARIABLE, "KILL").or_else(|| Wanted::read(FREEZE_VARIABLE, "STOP"))).as_ref()
}

/// Whether the process will end or freeze at the next [`now`] of this name, for points that need preparation.
pub fn is_due(name: &'static str) -> bool {
    static HITS: Mutex<Option<HashMap<&'static str, u32>>> = Mutex::new(None);
    debug_assert!(is_point(name), "{name} is in the list of places");
    let Some(wanted) = wanted() else { return false };
    if wanted.name != name {
        return false;
    }
    let mut hits = HITS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let hit = hits.get_or_insert_default().entry(name).or_default();
    *hit += 1;
    *hit == wanted.hit
}

/// Ends or freezes the process if this hit of the point is wanted.
pub fn point(name: &'static str) {
    if is_due(name) {
        now(name);
    }
}

/// Ends or freezes the process. The message before it proves to the test that the point was reached. A killed process
/// runs no destructor, flushes no buffer and closes no connection properly; a frozen one continues here after SIGCONT.
pub fn now(name: &str) {
    let Some(Wanted { name: _, hit: _, signal }) = wanted() else { return };
    // The lock is held to the end, so that this is the last output.
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "crash point {name}");
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(std::process::id().to_string()).status();
    if *signal == "KILL" {
        std::process::abort();
    }
}
