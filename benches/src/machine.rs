//! The machine of a measurement, without which figures cannot be compared.

use serde::Serialize;

/// Properties of the machine; empty or 0 if unknown.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model name of the processor.
    pub cpu: String,
    /// Number of hardware threads.
    pub cores: usize,
    /// Gibibytes of memory.
    pub memory_gib: f64,
    /// The operating system and its kernel.
    pub system: String,
    /// Load average over the last minute before the start: above 0, other programs kept the machine busy.
    pub load: f64,
    /// Version of this program, and whether it is an optimised build.
    pub watchtower: String,
}

impl Machine {
    /// Describes the current machine.
    pub fn describe() -> Self {
        let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
        Self {
            cpu: value("/proc/cpuinfo", "model name", ':').unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_gib(),
            system: system(),
            load: first_number(&read("/proc/loadavg")),
            watchtower: format!("{} {build}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cpu, cores, memory_gib, system, load, watchtower } = self;
        write!(f, "{cores} x {cpu}, {memory_gib:.0} GiB, {system}, load {load:.1}; watchtower {watchtower}")
    }
}

fn memory_gib() -> f64 {
    let kib = value("/proc/meminfo", "MemTotal", ':').map_or(0.0, |text| first_number(&text));
    (kib / f64::from(1 << 20) * 10.0).round() / 10.0
}

fn system() -> String {
    let name = value("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_else(|| std::env::consts::OS.to_owned());
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{} {}", name.trim_matches('"'), kernel.trim()).trim().to_owned()
}

/// The value after a name in a file of lines.
fn value(path: &str, name: &str, separator: char) -> Option<String> {
    let text = read(path);
    let line = text.lines().find_map(|line| line.split_once(separator).filter(|(key, _)| key.trim() == name));
    line.map(|(_, value)| value.trim().to_owned())
}

fn first_number(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// Contents of a file; empty if it does not exist.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
