//! What the kernel says of a process.

use std::fs;
use std::time::Duration;

/// The unit in which the kernel reports times to programs.
const TICK: Duration = Duration::from_millis(10);
/// The places of the times in user mode and in the kernel in /proc/PID/stat, counted from behind the name.
const TIMES: std::ops::Range<usize> = 11..13;

/// A process by its id.
#[derive(Clone, Copy, Debug)]
pub struct Process(pub u32);

impl Process {
    /// Its memory now, in MiB.
    pub fn resident(self) -> f64 {
        self.memory("VmRSS:")
    }

    /// The most memory that it ever had, in MiB.
    pub fn peak(self) -> f64 {
        self.memory("VmHWM:")
    }

    /// The time that it has had on processors, in user mode and in the kernel.
    pub fn cpu(self) -> Duration {
        let text = self.read("stat");
        // The name may hold anything, blanks and parentheses too.
        let (_, rest) = text.rsplit_once(')').unwrap();
        let times: Vec<_> = rest.split_whitespace().collect();
        let ticks: u32 = times[TIMES].iter().map(|it| it.parse::<u32>().unwrap()).sum();
        TICK * ticks
    }

    fn memory(self, key: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes / 1024.0
    }

    fn read(self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).unwrap()
    }
}
