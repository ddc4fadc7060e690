//! Time and memory, and statistics of repeated measurements.

use std::time::{Duration, Instant};

/// Duration of one measurement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Elapsed time, seconds.
    pub wall_s: f64,
    /// Processor time, seconds; 0 where the system does not report it.
    pub cpu_s: f64,
}

/// Threads whose processor time is measured.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// The thread that starts the timer.
    Thread,
    /// All threads of this process.
    Process,
}

/// A running measurement.
#[derive(Debug)]
pub struct Timer {
    scope: Scope,
    started: Instant,
    cpu: Duration,
}

impl Timer {
    /// Starts a measurement.
    pub fn start(scope: Scope) -> Self {
        Self { scope, started: Instant::now(), cpu: cpu(scope) }
    }

    /// Ends the measurement. With [`Scope::Thread`], on the thread that started it.
    pub fn stop(self) -> Sample {
        let cpu = cpu(self.scope).saturating_sub(self.cpu);
        Sample { wall_s: self.started.elapsed().as_secs_f64(), cpu_s: cpu.as_secs_f64() }
    }
}

#[cfg(unix)]
fn cpu(scope: Scope) -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(match scope {
        Scope::Thread => ClockId::ThreadCPUTime,
        Scope::Process => ClockId::ProcessCPUTime,
    });
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(not(unix))]
fn cpu(_: Scope) -> Duration {
    Duration::ZERO
}

/// Resident memory of this process, bytes; 0 where the system does not report it.
pub fn resident_bytes() -> u64 {
    resident_bytes_of("self")
}

/// Resident memory of a process by its id.
pub fn resident_bytes_of(process: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// Repeated measurements of one thing.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Adds a measurement.
    pub fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// Median elapsed time, seconds.
    pub fn wall_s(&self) -> f64 {
        median(self.0.iter().map(|sample| sample.wall_s))
    }

    /// Median processor time, seconds.
    pub fn cpu_s(&self) -> f64 {
        median(self.0.iter().map(|sample| sample.cpu_s))
    }

    /// Difference of the slowest and the fastest elapsed time, as a percentage of the median.
    pub fn spread_percent(&self) -> f64 {
        let walls = || self.0.iter().map(|sample| sample.wall_s);
        let (least, most) = (walls().fold(f64::INFINITY, f64::min), walls().fold(0.0, f64::max));
        if self.0.is_empty() { 0.0 } else { 100.0 * (most - least) / self.wall_s() }
    }

    /// Speed relative to `other` by elapsed time: the median of the ratios within each turn.
    pub fn times_as_fast_as(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(mine, theirs)| theirs.wall_s / mine.wall_s))
    }

    /// Processor time of `other` relative to this: the median of the ratios within each turn. A machine that is slower
    /// for a while is slower for both.
    pub fn times_less_cpu_than(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(mine, theirs)| theirs.cpu_s / mine.cpu_s))
    }
}

/// The median; 0 of no values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (0, 0) => 0.0,
        (middle, 1) => values[middle],
        (middle, _) => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([].into_iter()), 0.0);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.5);
    }

    #[test]
    fn a_busy_thread_takes_processor_time_and_a_sleeping_one_does_not() {
        let busy = Timer::start(Scope::Thread);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let busy = busy.stop();
        assert!(busy.wall_s >= 0.05 && busy.cpu_s > 0.0, "{busy:?}");
        let idle = Timer::start(Scope::Thread);
        std::thread::sleep(Duration::from_millis(50));
        let idle = idle.stop();
        assert!(idle.wall_s >= 0.05 && idle.cpu_s < 0.01, "{idle:?}");
    }

    #[test]
    fn a_ratio_is_of_what_was_measured_in_the_same_turn() {
        let samples = |cpu: [f64; 3]| Samples(cpu.map(|cpu_s| Sample { wall_s: cpu_s, cpu_s }).to_vec());
        let (fast, slow) = (samples([1.0, 2.0, 1.0]), samples([3.0, 6.0, 4.0]));
        assert_eq!(fast.times_less_cpu_than(&slow), 3.0);
        assert_eq!(fast.spread_percent(), 100.0);
    }
}
