//! Where the memory of a node goes.

use std::fs;
use std::ops::Sub;
use std::path::PathBuf;

use test_bed::cgroup;
use test_bed::member;
use test_bed::state::{Kind, State};

/// Memory that is not shared with files, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub kubelet: f64,
    pub containerd: f64,
    /// One for each pod.
    pub shims: f64,
    /// What is charged to the pods: the holders, and the kernel's memory for them.
    pub pods: f64,
    /// The kernel's part of that.
    pub kernel: f64,
    /// The kernel's memory of the whole machine, for whomever.
    pub machine: f64,
}

impl Memory {
    /// What the node takes now.
    pub fn of(node: &str) -> Self {
        let state = State::of_checkout(Kind::Real);
        let mut memory = Self { machine: of_machine(), ..Self::default() };
        for process in member::all(&state.folder()).unwrap() {
            let private = private(process.pid.as_raw());
            let (service, program) = (process.service.as_str(), process.program().unwrap_or_default());
            if service == format!("{node}/kubelet") {
                memory.kubelet += private;
            } else if service == format!("{node}/containerd") {
                let is_shim = program.to_string_lossy().starts_with("containerd-shim");
                *if is_shim { &mut memory.shims } else { &mut memory.containerd } += private;
            }
        }
        for group in cgroup::existing(&format!("{}-{node}", state.unique_name())) {
            memory.pods += number(group.join("memory.usage_in_bytes"))
                .or(number(group.join("memory.current")))
                .unwrap_or_default();
            memory.kernel +=
                number(group.join("memory.kmem.usage_in_bytes")).or_else(|| kernel(&group)).unwrap_or_default();
        }
        memory
    }

    /// All that belongs to the node.
    pub fn sum(&self) -> f64 {
        self.kubelet + self.containerd + self.shims + self.pods
    }
}

impl Sub for Memory {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            kubelet: self.kubelet - other.kubelet,
            containerd: self.containerd - other.containerd,
            shims: self.shims - other.shims,
            pods: self.pods - other.pods,
            kernel: self.kernel - other.kernel,
            machine: self.machine - other.machine,
        }
    }
}

fn private(process: i32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    kibibytes(&status, "RssAnon:")
}

/// What the kernel has in slabs, stacks, page tables and per processor.
fn of_machine() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    ["SUnreclaim:", "KernelStack:", "PageTables:", "Percpu:"].iter().map(|key| kibibytes(&text, key)).sum()
}

fn kibibytes(text: &str, key: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

/// The bytes in a file of a control group, in KiB.
fn number(file: PathBuf) -> Option<f64> {
    Some(fs::read_to_string(file).ok()?.trim().parse::<f64>().ok()? / 1024.0)
}

/// The same with version 2 of control groups.
fn kernel(group: &std::path::Path) -> Option<f64> {
    let text = fs::read_to_string(group.join("memory.stat")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("kernel "))?;
    Some(line.parse::<f64>().ok()? / 1024.0)
}
