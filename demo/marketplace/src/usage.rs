//! What a process uses, as Linux tells it.

use std::fs;
use std::time::Instant;

/// Clock ticks of `/proc`, a second: `USER_HZ`, which Linux never changes for its users.
const TICKS_PER_S: f64 = 100.0;
/// Where user and system time stand in `/proc/PID/stat`, counted after the command's name.
const USER_TIME: usize = 11;

/// Resident memory of a process, bytes; `None` when it is gone.
pub fn resident(pid: u32) -> Option<i64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

/// Processor time of this process since the last look.
pub struct Cpu {
    looked: Instant,
    ticks: Option<f64>,
}

impl Cpu {
    /// From now on.
    pub fn begins() -> Self {
        Self { looked: Instant::now(), ticks: ticks() }
    }

    /// Share of all processors' time it used since the last look.
    pub fn share(&mut self) -> Option<f64> {
        let before = std::mem::replace(self, Self::begins());
        let passed = before.looked.elapsed().as_secs_f64();
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let used = (self.ticks? - before.ticks?) / TICKS_PER_S;
        (passed > 0.0).then(|| (used / passed / processors).clamp(0.0, 1.0))
    }
}

fn ticks() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let times = fields.split(' ').skip(USER_TIME).take(2);
    times.map(|time| time.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 1_000_000));
        assert_eq!(resident(0), None);
        assert!(Cpu::begins().share().is_some_and(|share| (0.0..=1.0).contains(&share)));
    }
}
