//! Times and memory, and what repeated measurements come to.

use std::time::{Duration, Instant};

/// What something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Seconds on the clock on the wall.
    pub wall_s: f64,
    /// Seconds of processors; 0 where the system does not say.
    pub cpu_s: f64,
}

/// Whose processor time counts.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// The thread that asks.
    Thread,
    /// All threads of this process.
    Process,
}

/// A measurement under way.
#[derive(Debug)]
pub struct Timer {
    scope: Scope,
    started: Instant,
    cpu: Duration,
}

impl Timer {
    /// Begins.
    pub fn start(scope: Scope) -> Self {
        Self { scope, started: Instant::now(), cpu: cpu(scope) }
    }

    /// Ends; of a thread, on the thread on which it began.
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

/// The bytes of memory this process has; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    resident_bytes_of("self")
}

/// The same of a process by its id.
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
    /// One more.
    pub fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// Median seconds on the wall.
    pub fn wall_s(&self) -> f64 {
        median(self.0.iter().map(|sample| sample.wall_s))
    }

    /// Median seconds of processors.
    pub fn cpu_s(&self) -> f64 {
        median(self.0.iter().map(|sample| sample.cpu_s))
    }

    /// How far the slowest and the fastest are apart on the wall, as a share of the median, in per cent.
    pub fn spread_percent(&self) -> f64 {
        let walls = || self.0.iter().map(|sample| sample.wall_s);
        let (least, most) = (walls().fold(f64::INFINITY, f64::min), walls().fold(0.0, f64::max));
        if self.0.is_empty() { 0.0 } else { 100.0 * (most - least) / self.wall_s() }
    }

    /// How many times as fast as the other this was on the wall: the median over what was measured in the same
    /// turn.
    pub fn times_as_fast_as(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(mine, theirs)| theirs.wall_s / mine.wall_s))
    }

    /// How much more processor time the other took: the median over what was measured in the same turn, so
    /// that a machine that is slower for a while is slower for both.
    pub fn times_less_cpu_than(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(mine, theirs)| theirs.cpu_s / mine.cpu_s))
    }
}

/// The middle value; of an even number, the mean of the two. 0 of none.
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
