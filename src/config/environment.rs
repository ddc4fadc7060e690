//! Environment variables that override the file: `WATCHTOWER_<SECTION>_<KEY>`.

use std::collections::BTreeMap;

use super::error::{Place, Problem};
use super::key::{Key, PARTS_OF_A_URL};
use super::kinds::{Value, did_you_mean, either};
use super::nearest::nearest;

/// Prefix of all variables of the project.
const PREFIX: &str = "WATCHTOWER_";

/// Variables of the tests, which a daemon started by a test may inherit.
const OF_THE_TESTS: [&str; 9] = [
    "WATCHTOWER_BLESS",
    "WATCHTOWER_CASES",
    "WATCHTOWER_CRASH_AT",
    "WATCHTOWER_DATA",
    "WATCHTOWER_EPOCHS",
    "WATCHTOWER_FREEZE_AT",
    "WATCHTOWER_SEED",
    "WATCHTOWER_SERVERS",
    "WATCHTOWER_SOAK",
];
/// The same of the scripts that start tests.
const PREFIX_OF_THE_TESTS: &str = "WATCHTOWER_TEST_";

/// The variables of this process with our prefix. Invalid UTF-8 in a value is replaced by U+FFFD.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// The variables that override keys.
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Selects the variables with our prefix from `environment`.
    pub(super) fn new(environment: impl Iterator<Item = (String, String)>) -> Self {
        Self(
            environment
                .filter(|(name, value)| {
                    name.starts_with(PREFIX)
                        && !name.starts_with(PREFIX_OF_THE_TESTS)
                        && !OF_THE_TESTS.contains(&name.as_str())
                        && !is_of_kubernetes(&name[PREFIX.len()..], value)
                })
                .collect(),
        )
    }

    /// The value that overrides a key.
    pub(super) fn get(&self, key: Key) -> Option<(Place, Value<'_>)> {
        let (name, value) = self.0.get_key_value(&key.variable())?;
        Some((Place::Variable(name.clone()), Value::Variable(value)))
    }

    /// Problems for variables that override no key.
    pub(super) fn unknown(&self, known: &[Key]) -> Vec<Problem> {
        let unknown = self.0.keys().filter(|name| known.iter().all(|key| key.variable() != **name));
        unknown.map(|name| Problem { place: Place::Variable(name.clone()), text: unknown_text(name, known) }).collect()
    }
}

impl Key {
    /// Name of the variable that overrides the key.
    pub(super) fn variable(self) -> String {
        let separator = if self.section.is_empty() { "" } else { "_" };
        format!("{PREFIX}{}{separator}{}", self.section, self.name).to_ascii_uppercase()
    }
}

fn unknown_text(name: &str, known: &[Key]) -> String {
    // Compared without the common prefix, which would make all names similar.
    let short = |key: &Key| key.variable()[PREFIX.len()..].to_owned();
    let found = &name[PREFIX.len()..];
    let (section, rest) = found.split_once('_').unwrap_or(("", found));
    let url = known.iter().find(|key| key.name == "url" && key.section.eq_ignore_ascii_case(section));
    let same_name: Vec<_> = known.iter().filter(|key| key.name.eq_ignore_ascii_case(found)).collect();
    let shorts: Vec<String> = known.iter().map(short).collect();
    let hint = if let Some(url) = url.filter(|_| PARTS_OF_A_URL.contains(&rest.to_ascii_lowercase().as_str())) {
        format!("; it is part of {}", url.variable())
    } else if !same_name.is_empty() {
        format!("; did you mean {}?", either(same_name.iter().map(|key| format!("`{}`", key.variable()))))
    } else if let Some(meant) = nearest(found, shorts.iter().map(String::as_str)) {
        did_you_mean(Some(format!("{PREFIX}{meant}")))
    } else {
        format!("; a key is overridden by {PREFIX}<SECTION>_<KEY>, as in WATCHTOWER_REDIS_URL")
    };
    format!("unknown variable{hint}")
}

/// Whether Kubernetes sets this variable in every container beside a service that is named `watchtower` or
/// `watchtower-..`: `.._SERVICE_HOST`, `.._SERVICE_PORT`, `.._SERVICE_PORT_<name>`, `.._PORT`,
/// `.._PORT_<number>_TCP..`. `short` is without our prefix.
fn is_of_kubernetes(short: &str, value: &str) -> bool {
    let words: Vec<&str> = short.split('_').collect();
    let is_link = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    words.ends_with(&["SERVICE", "HOST"])
        || words.windows(2).any(|pair| pair == ["SERVICE", "PORT"])
        || words.ends_with(&["PORT"]) && is_link
        || words.windows(3).any(|window| {
            window[0] == "PORT"
                && window[1].bytes().all(|byte| byte.is_ascii_digit())
                && matches!(window[2], "TCP" | "UDP" | "SCTP")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_kubernetes_are_told_apart() {
        for (short, value, theirs) in [
            ("SERVICE_HOST", "10.0.0.1", true),
            ("SERVICE_PORT", "9464", true),
            ("SERVICE_PORT_HTTP", "9464", true),
            ("PORT", "tcp://10.0.0.1:9464", true),
            ("REDIS_PORT", "tcp://10.0.0.1:6379", true),
            ("PORT_9464_TCP", "tcp://10.0.0.1:9464", true),
            ("PORT_9464_TCP_ADDR", "10.0.0.1", true),
            ("REDIS_PORT_6379_TCP_PROTO", "tcp", true),
            ("PORT", "9464", false),
            ("REDIS_PORT", "6379", false),
            ("REDIS_URL", "redis://h", false),
            ("HTTP_LISTEN", "127.0.0.1:1", false),
        ] {
            assert_eq!(is_of_kubernetes(short, value), theirs, "{short}={value}");
        }
    }

    #[test]
    fn keys_have_their_variables() {
        assert_eq!(Key { section: "", name: "pipeline" }.variable(), "WATCHTOWER_PIPELINE");
        assert_eq!(Key { section: "store", name: "state_every" }.variable(), "WATCHTOWER_STORE_STATE_EVERY");
    }
}
