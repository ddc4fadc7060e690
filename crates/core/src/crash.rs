//! Places at which a test ends the process as a power failure would, or freezes it as a machine that hangs.
//!
//! `WATCHTOWER_CRASH_AT=before-commit:2` kills it the second time it comes to the place of that name;
//! `WATCHTOWER_FREEZE_AT` stops it there until it gets SIGCONT. Unset, a place costs a look at an empty
//! option.

use std::collections::HashMap;
use std::io::Write;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// The variable that names the place of a crash and how often it is passed.
pub const VARIABLE: &str = "WATCHTOWER_CRASH_AT";
/// The same for the place where it freezes.
pub const FREEZE_VARIABLE: &str = "WATCHTOWER_FREEZE_AT";

/// All places, in the order in which an event comes by them.
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

#[derive(Debug)]
struct Wanted {
    name: String,
    hit: u32,
    /// What the process sends to itself.
    signal: &'static str,
}

impl Wanted {
    fn read(variable: &str, signal: &'static str) -> Option<Self> {
        let value = std::env::var(variable).ok()?;
        let (name, hit) = value.split_once(':').unwrap_or((&value, "1"));
        assert!(POINTS.contains(&name), "{variable}: {name} is none of {POINTS:?}");
        Some(Self { name: name.to_owned(), hit: hit.parse().expect("the number of the hit"), signal })
    }
}

fn wanted() -> Option<&'static Wanted> {
    static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
    WANTED.get_or_init(|| Wanted::read(VARIABLE, "KILL").or_else(|| Wanted::read(FREEZE_VARIABLE, "STOP"))).as_ref()
}

/// Whether something is wanted at the place, now: the place may then have something to do first.
pub fn is_due(name: &'static str) -> bool {
    static HITS: Mutex<Option<HashMap<&'static str, u32>>> = Mutex::new(None);
    debug_assert!(POINTS.contains(&name), "{name} is in the list of places");
    let Some(wanted) = wanted() else { return false };
    if wanted.name != name {
        return false;
    }
    let mut hits = HITS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let hit = hits.get_or_insert_default().entry(name).or_default();
    *hit += 1;
    *hit == wanted.hit
}

/// Ends or freezes the process if that is wanted here.
pub fn point(name: &'static str) {
    if is_due(name) {
        now(name);
    }
}

/// Ends or freezes the process; what it says first proves that it did. A killed one has no destructor, no
/// buffered write and no goodbye to a server; a frozen one goes on from here some time.
pub fn now(name: &str) {
    let Some(Wanted { name: _, hit: _, signal }) = wanted() else { return };
    // The last words: whoever else has something to say waits.
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "crash point {name}");
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(std::process::id().to_string()).status();
    if *signal == "KILL" {
        std::process::abort();
    }
}
