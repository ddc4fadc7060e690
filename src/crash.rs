//! Places at which a test ends the process as a power failure would.
//!
//! `WATCHTOWER_CRASH_AT=before-commit:2` kills it the second time it comes to the place of that name.
//! Unset, a place costs a look at an empty option.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

/// The variable that names a place and how often it is passed.
pub const VARIABLE: &str = "WATCHTOWER_CRASH_AT";

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
}

fn wanted() -> Option<&'static Wanted> {
    static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
    WANTED
        .get_or_init(|| {
            let value = std::env::var(VARIABLE).ok()?;
            let (name, hit) = value.split_once(':').unwrap_or((&value, "1"));
            assert!(POINTS.contains(&name), "{VARIABLE}: {name} is none of {POINTS:?}");
            Some(Wanted { name: name.to_owned(), hit: hit.parse().expect("the number of the hit") })
        })
        .as_ref()
}

/// Whether a crash is wanted at the place, now: the place may then have something to do first.
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

/// Ends the process if that is wanted here.
pub fn point(name: &'static str) {
    if is_due(name) {
        now(name);
    }
}

/// Ends the process, at once and without any clean-up; what it says first proves that it did.
pub fn now(name: &str) -> ! {
    eprintln!("crash point {name}");
    // SIGKILL to ourselves: no destructor, no buffered write, no goodbye to a server.
    let _ = std::process::Command::new("kill").arg("-9").arg(std::process::id().to_string()).status();
    std::process::abort();
}
